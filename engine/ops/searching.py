"""Ops that find places among sorted values."""

from __future__ import annotations

from typing import Any

from engine.ops.declare import operation
from engine.primitives import indexing


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
