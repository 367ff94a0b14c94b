"""Axes as users give them (None, negative, one or several), brought to the primitives' normal form."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any


def one_axis(axis: Any, rank: int) -> int:
    """An axis in 0..rank-1; raises ValueError naming the axis and the rank where it lies outside."""
    index = operator.index(axis)
    if not -rank <= index < rank:
        raise ValueError(f"Axis {index} is out of range for a tensor of rank {rank}.")
    return index % rank


def many_axes(axis: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes in ascending order; None means all. Raises ValueError on repeated ones."""
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, (list, tuple)) else (axis,)
    axes = tuple(sorted(one_axis(item, rank) for item in given))
    if len(set(axes)) != len(axes):
        raise ValueError(f"Axes must differ. Received: {axis}")
    return axes


def moved_last(rank: int, axis: int) -> tuple[int, ...]:
    """The order of axes in which `axis` comes last."""
    return (*(index for index in range(rank) if index != axis), axis)


def moved_back(rank: int, axis: int) -> tuple[int, ...]:
    """The order of axes that undoes `moved_last`."""
    return (*range(axis), rank - 1, *range(axis, rank - 1))
