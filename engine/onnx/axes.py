"""The order of axes: where each axis of a file's tensor lies in ours.

ONNX lays images out as (batch, channels, rows, columns), our primitives take channels last. An order says it for one
tensor: our axis i is the file's axis `order[i]`, as if ours were `transpose(theirs, order)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Order = tuple[int, ...]
Item = TypeVar("Item")


def same(rank: int) -> Order:
    """The order of a tensor that lies as in the file."""
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """The order of a tensor whose file has its channels second, and ours last."""
    return (0, *range(2, rank), 1) if rank > 1 else same(rank)


def inverse(order: Order) -> Order:
    """The order that leads back."""
    places = [0] * len(order)
    for place, axis in enumerate(order):
        places[axis] = place
    return tuple(places)


def ordered(items: Sequence[Item], order: Order) -> tuple[Item, ...]:
    """What the file says of each axis, by our axes."""
    return tuple(items[axis] for axis in order)


def between(source: Order, target: Order) -> Order:
    """The transpose that brings a tensor from one order to another."""
    places = inverse(source)
    return tuple(places[axis] for axis in target)


def transposed(order: Order, axes: Sequence[int]) -> Order:
    """The order after the file's tensor was transposed by `axes` and ours was not moved."""
    back = inverse(tuple(axes))
    return tuple(back[axis] for axis in order)


def without(order: Order, dropped: Sequence[int]) -> Order:
    """The order after axes of the file were dropped from both."""
    kept = [axis for axis in range(len(order)) if axis not in dropped]
    renumbered = {axis: index for index, axis in enumerate(kept)}
    return tuple(renumbered[axis] for axis in order if axis in renumbered)


def moving(source: Order, target: Order) -> Order:
    """The transpose that brings the file's tensor from one order to another."""
    return between(inverse(source), inverse(target))
