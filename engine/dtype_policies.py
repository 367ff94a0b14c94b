"""Dtype policies: in which dtype a layer computes, and in which it keeps its variables (`keras.dtype_policies`)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from engine.dtypes import floatx, standardize_dtype
from engine.registry import deserialize as _deserialize
from engine.registry import registered, serialize

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


@registered("keras", "Policy")
class DTypePolicy:
    """A pair of dtypes.

    Args:
        name: a dtype name for both, or "mixed_float16" or "mixed_bfloat16": computing in the half type with float32
            variables. Default: `floatx()`.
    """

    def __init__(self, name: str | None = None) -> None:
        name = floatx() if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"A dtype policy is named by a string. Received: {name!r} of type {type(name).__name__}")
        self._name = name
        if name in _MIXED:
            self._compute_dtype, self._variable_dtype = _MIXED[name], "float32"
        else:
            try:
                self._compute_dtype = self._variable_dtype = standardize_dtype(name)
            except ValueError as error:
                raise ValueError(
                    f"Unknown dtype policy {name!r}: expected a dtype name, {' or '.join(map(repr, _MIXED))}."
                ) from error

    @property
    def name(self) -> str:
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype of what layers compute."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of layers' variables."""
        return self._variable_dtype

    quantization_mode = None

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


_global: DTypePolicy | None = None
_default = lru_cache(DTypePolicy)  # one instance a name: archives write it as one shared object


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none: `floatx()` for both unless set (`keras.config.dtype_policy`)."""
    return _default(floatx()) if _global is None else _global


def set_dtype_policy(policy: Any) -> None:
    """Sets the policy of layers that are given none (`keras.config.set_dtype_policy`); None: back to `floatx()`."""
    global _global
    _global = None if policy is None else get(policy)


def get(identifier: Any) -> DTypePolicy:
    """A policy from None (the global one), a policy, a name, a dtype or a config."""
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        policy = _deserialize(identifier)
        if not isinstance(policy, DTypePolicy):
            raise ValueError(f"Expected the config of a DTypePolicy. Received: {identifier!r}")
        return policy
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    return DTypePolicy(standardize_dtype(identifier))


deserialize = get

__all__ = ["DTypePolicy", "deserialize", "dtype_policy", "get", "serialize", "set_dtype_policy"]
