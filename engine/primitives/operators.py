"""Installs Python's operators and indexing on `Value`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.primitives import elementwise as e
from engine.primitives import shaping
from engine.tensor import Value


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


_install()
