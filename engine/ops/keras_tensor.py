"""KerasTensor: a placeholder for a tensor, of which functional models are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from engine.dtypes import as_dtype
from engine.naming import uniquify
from engine.tensor import Symbol, Tensor, Value
from engine.variable import Variable


class History(NamedTuple):
    """Where a KerasTensor came from: output `tensor_index` of call `node_index` of an operation."""

    operation: Any
    node_index: int
    tensor_index: int


class KerasTensor(Value):
    """A placeholder for a tensor.

    Args:
        shape: ints, and None where a length is free.
        dtype: default: "float32".
        name: default: numbered "keras_tensor".
    """

    __slots__ = ("__weakref__", "dtype", "history", "name", "shape", "sparse")
    deferred = True
    __array_ufunc__ = None  # `array - placeholder` is the placeholder's to record, with the array as it is

    def __init__(
        self, shape: Sequence[int | None], dtype: Any = "float32", sparse: bool = False, name: str | None = None
    ) -> None:
        self.shape = tuple(None if length is None else int(length) for length in shape)  # type: ignore[misc]
        self.dtype = as_dtype(dtype)
        self.sparse = sparse
        self.name = name or uniquify("keras_tensor")
        self.history: History | None = None

    @property
    def _keras_history(self) -> History | None:
        return self.history

    def get_config(self) -> dict[str, Any]:
        """The form in which calls of functional models are written."""
        config: dict[str, Any] = {"shape": list(self.shape), "dtype": self.dtype.name}
        if self.history is not None:
            operation, node_index, tensor_index = self.history
            config["keras_history"] = [operation.name, node_index, tensor_index]
        return {"class_name": "__keras_tensor__", "config": config}

    def _refuse(self, what: str) -> TypeError:
        return TypeError(
            f"{what} needs values, but {self!r} is a symbolic placeholder. Use `engine.ops` functions or layers on it."
        )

    def numpy(self) -> Any:
        raise self._refuse("numpy()")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise self._refuse("Conversion to NumPy")

    def __bool__(self) -> bool:
        raise self._refuse("A Python condition")

    def __int__(self) -> int:
        raise self._refuse("int()")

    def __float__(self) -> float:
        raise self._refuse("float()")

    def __iter__(self) -> Iterator[Any]:
        raise self._refuse("Iteration")

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype.name}, sparse={self.sparse}, name={self.name}>"


def is_keras_tensor(x: Any) -> bool:
    """Whether this is a symbolic placeholder that an operation or `Input` made."""
    return isinstance(x, KerasTensor) and x.history is not None


def is_tensor(x: Any) -> bool:
    """Whether this is a value that operations take: eager, captured or symbolic."""
    return isinstance(x, (Tensor, Symbol, KerasTensor, Variable))


def any_symbolic(items: Any) -> bool:
    """Whether a KerasTensor is anywhere in a nest."""
    if isinstance(items, KerasTensor):
        return True
    if isinstance(items, (list, tuple)):
        return any(any_symbolic(item) for item in items)
    if isinstance(items, dict):
        return any(any_symbolic(item) for item in items.values())
    return False
