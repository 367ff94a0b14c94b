"""Ops that order values, and find places among ordered ones."""

from __future__ import annotations

from typing import Any

from engine.ops.axes import one_axis
from engine.ops.declare import operation
from engine.ops.indexing import integers
from engine.ops.shaping import expand_dims, squeeze
from engine.primitives import casting, indexing, shaping
from engine.primitives import elementwise as e
from engine.primitives.apply import as_value


@operation("numpy", "Argsort", settings=("axis",))
def argsort(x: Any, axis: int | None = -1) -> Any:
    """The indices (int32) that sort an axis; without one, the flattened tensor."""
    value = as_value(x)
    if axis is None:
        value, axis = shaping.reshape(value, shape=(-1,)), 0
    return indexing.argsort(value, axis=one_axis(axis, value.ndim))


@operation("numpy", "Sort", settings=("axis",))
def sort(x: Any, axis: int | None = -1) -> Any:
    """Entries in ascending order along an axis; without one, of the flattened tensor."""
    value = as_value(x)
    if axis is None:
        value, axis = shaping.reshape(value, shape=(-1,)), 0
    return indexing.take_along_axis(value, argsort(value, axis), axis=one_axis(axis, value.ndim))


@operation("math", "TopK", settings=("k", "sorted"))
def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    """The k largest entries along the last axis, largest first, and their indices (int32)."""
    value = as_value(x)
    indices = indexing.top_k_indices(value, k=k)
    return indexing.take_along_axis(value, indices, axis=value.ndim - 1), indices


@operation("math", "InTopK", settings=("k",))
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Whether each row's target class is among its k best predictions; equal ones all count."""
    targets, predictions = integers(targets, "in_top_k"), as_value(predictions)
    classes = predictions.shape[-1]
    inside = e.logical_and(e.greater_equal(targets, 0), e.less(targets, classes))
    safe = expand_dims(e.where(inside, targets, 0), -1)
    own = indexing.take_along_axis(predictions, safe, axis=predictions.ndim - 1)
    better = shaping.reduce_sum(casting.cast(e.greater(predictions, own), dtype="int32"), axes=(predictions.ndim - 1,))
    finite = e.isfinite(squeeze(own, -1))
    return e.logical_and(e.logical_and(inside, finite), e.less(better, k))


@operation("numpy", "SearchSorted", settings=("side",))
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Where each value would be put into an ascending sequence (int32).

    Args:
        sorted_sequence: one axis, ascending.
        values: of any shape.
        side: "left": before entries that are equal; "right": after them.
    """
    return indexing.searchsorted(sorted_sequence, values, side=side)


@operation("numpy", "Digitize")
def digitize(x: Any, bins: Any) -> Any:
    """The number (int32) of the bin in which each value lies: how many of the ascending `bins` do not exceed it."""
    return indexing.searchsorted(bins, x, side="right")
