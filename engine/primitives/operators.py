"""Installs Python's operators and indexing on `Value`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.primitives import elementwise as e
from engine.primitives import shaping
from engine.scopes import current_tapes
from engine.tensor import Value
from engine.variable import Variable


def _index_key(shape: tuple[int, ...], key: Any) -> tuple[Any, ...]:
    """A Python index as the normal form that the primitive `getitem` takes."""
    parts = list(key) if isinstance(key, tuple) else [key]
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    if taken > len(shape):
        raise IndexError(f"Too many indices ({taken}) for shape {shape}.")
    if any(part is Ellipsis for part in parts):
        at = next(index for index, part in enumerate(parts) if part is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(shape) - taken)
    parts += [slice(None)] * (len(shape) - sum(part is not None for part in parts))
    normal: list[Any] = []
    axis = 0
    for part in parts:
        if part is None:
            normal.append("new")
            continue
        length = shape[axis]
        if isinstance(part, slice):
            start, stop, step = part.indices(length)
            if step < 0 and stop < 0:
                normal.append((start, None, step))
            else:
                normal.append((start, stop, step))
        else:
            index = operator.index(part)
            if not -length <= index < length:
                raise IndexError(f"Index {index} is out of range for axis {axis} of shape {shape}.")
            normal.append(index % length)
        axis += 1
    return tuple(normal)


def _getitem(self: Any, key: Any) -> Any:
    if isinstance(key, (np.ndarray, list, Value)) and not np.isscalar(key):
        from engine.primitives.apply import as_value

        return shaping.gather(self, as_value(key), axis=0)
    return shaping.getitem(self, key=_index_key(self.shape, key))


def _matmul(a: Any, b: Any) -> Any:
    from engine.primitives.linear import matmul

    return matmul(a, b)


def _forward(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operate(self: Any, other: Any) -> Any:
        return NotImplemented if getattr(other, "deferred", False) else function(self, other)

    return operate


# What `array + tensor` and its like come to: NumPy asks its function, and the function asks the tensor.
_OPERATORS: dict[Any, Callable[[Any, Any], Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
    np.floor_divide: operator.floordiv,
    np.remainder: operator.mod,
    np.power: operator.pow,
    np.matmul: operator.matmul,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
    np.bitwise_and: operator.and_,
    np.bitwise_or: operator.or_,
}


def _ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """A function of NumPy's on operands among which are values: an operator's, or one that computes with arrays."""
    from engine.primitives.apply import as_value

    def operand(item: Any) -> Any:
        return item if isinstance(item, Value) else as_value(item)

    if ufunc in _OPERATORS and method == "__call__" and not kwargs:
        return _OPERATORS[ufunc](*map(operand, inputs))
    given = (item for item in inputs if isinstance(item, Value))
    values: list[Any] = [item.read() if isinstance(item, Variable) else item for item in given]
    if any(tape.wants([item]) for item in values for tape in current_tapes()):
        raise TypeError(
            f"np.{ufunc.__name__} would cut the gradient of a tensor of shape {values[0].shape} off: use `engine.ops`, "
            "or convert the tensor by `numpy()`."
        )
    return getattr(ufunc, method)(*(np.asarray(item) if isinstance(item, Value) else item for item in inputs), **kwargs)


def _install() -> None:
    both: dict[str, Any] = {
        "add": e.add,
        "sub": e.subtract,
        "mul": e.multiply,
        "truediv": e.divide,
        "floordiv": e.floor_divide,
        "mod": e.mod,
        "pow": e.power,
        "matmul": _matmul,
    }
    for name, function in both.items():
        setattr(Value, f"__{name}__", _forward(function))
        setattr(Value, f"__r{name}__", lambda self, other, f=function: f(other, self))
    comparisons: dict[str, Any] = {
        "eq": e.equal,
        "ne": e.not_equal,
        "lt": e.less,
        "le": e.less_equal,
        "gt": e.greater,
        "ge": e.greater_equal,
        "and": e.logical_and,
        "or": e.logical_or,
    }
    for name, function in comparisons.items():
        setattr(Value, f"__{name}__", _forward(function))
    alone = {"neg": e.negative, "abs": e.absolute, "invert": e.logical_not}
    for name, function in alone.items():
        setattr(Value, f"__{name}__", lambda self, f=function: f(self))
    Value.__getitem__ = _getitem  # type: ignore[method-assign]
    Value.__array_ufunc__ = _ufunc  # type: ignore[attr-defined]


_install()
