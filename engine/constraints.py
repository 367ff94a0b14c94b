"""Constraints: what weights are brought back to after each update (`keras.constraints`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.config import epsilon
from engine.identifiers import resolve
from engine.registry import deserialize as _deserialize
from engine.registry import registered, serialize

_MODULE = "keras.constraints"
Axis = int | Sequence[int]


@registered(_MODULE)
class Constraint:
    """A function of a weight that gives the nearest allowed one; the base class of constraints."""

    def __call__(self, w: Any) -> Any:
        """The allowed weight, of the same shape."""
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(w)`.")

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


def _norms(w: Any, axis: Axis) -> Any:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


@registered(_MODULE, "max_norm")
class MaxNorm(Constraint):
    """Norms along `axis` of at most `max_value`."""

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (norms + epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


@registered(_MODULE, "non_neg")
class NonNeg(Constraint):
    """No entry below 0."""

    def __call__(self, w: Any) -> Any:
        return ops.maximum(w, 0)


@registered(_MODULE, "unit_norm")
class UnitNorm(Constraint):
    """Norms along `axis` of 1."""

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (_norms(w, self.axis) + epsilon())

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


@registered(_MODULE, "min_max_norm")
class MinMaxNorm(Constraint):
    """Norms along `axis` moved towards [min_value, max_value]: all the way for `rate` 1."""

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        wanted = ops.clip(norms, self.min_value, self.max_value) * self.rate + norms * (1 - self.rate)
        return w * (wanted / (norms + epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


def get(identifier: Any) -> Any:
    """The constraint of a name ("non_neg"), a config, a class, a function, or None."""
    return resolve(identifier, _MODULE, "constraint")


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint of a config."""
    return _deserialize(config, custom_objects)


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]
