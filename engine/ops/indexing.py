"""Ops that take entries: by ranges, by index, along an axis."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

from engine.ops.axes import one_axis
from engine.ops.declare import operation
from engine.primitives import indexing, shaping
from engine.primitives.apply import as_value


@operation("numpy", "GetItem")
def get_item(x: Any, key: Any) -> Any:
    """x[key]."""
    if isinstance(key, list) and any(not isinstance(part, int) for part in key):
        key = tuple(key)  # files hold tuples as lists
    return as_value(x)[key]


@operation("core", "Slice", settings=("shape",))
def slice(inputs: Any, start_indices: Sequence[int], shape: Sequence[int]) -> Any:
    """The part of a shape that begins at given indices."""
    value = as_value(inputs)
    starts = [operator.index(start) for start in start_indices]
    return value[tuple(builtins.slice(start, start + length) for start, length in zip(starts, shape, strict=True))]


@operation("numpy", "Take", settings=("axis",))
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Entries along an axis at integer indices; without an axis, of the flattened tensor."""
    value = as_value(x)
    if axis is None:
        value, axis = shaping.reshape(value, shape=(-1,)), 0
    return shaping.gather(value, integers(indices, "take"), axis=one_axis(axis, value.ndim))


def look_up(table: Any, numbers: Any, owner: str) -> Any:
    """The rows of a table at integers; errors about numbers that it does not have name its owner."""
    return shaping.gather(as_value(table), integers(numbers, "look_up"), axis=0, owner=owner)


@operation("numpy", "TakeAlongAxis", settings=("axis",))
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """For each position the entry at its index along an axis; without an axis, of the flattened tensor."""
    value = as_value(x)
    if axis is None:
        value, axis = shaping.reshape(value, shape=(-1,)), 0
    return indexing.take_along_axis(value, integers(indices, "take_along_axis"), axis=one_axis(axis, value.ndim))


def integers(indices: Any, what: str) -> Any:
    """Indices as an integer tensor; raises TypeError naming the op where they are floats."""
    value = as_value(indices)
    if value.dtype.kind not in "iu":
        raise TypeError(f"{what}() expects integer indices. Received: dtype {value.dtype.name}")
    return value
