"""Entries looked up by indices: Gather and its relatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import ops
from engine.onnx.reading.arithmetic import in_file_order
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.reshaping import product
from engine.onnx.reading.value import Value

_LISTED = 4096
"""Constant indices up to so many are kept as a list in the network's configuration, more as an array."""


@operator("Gather")
def gather(builder: Builder, node: Node) -> Value:
    """ONNX's Gather: the axis gives way to those of the indices; one index alone drops it."""
    value, indices = builder.with_file_columns(node[0]), node[1]
    axis = value.positive(node.get("axis", 0))
    builder.keeps_examples_apart(value, [axis])
    place, rank = value.axis(axis), indices.rank
    order = tuple(
        new
        for old in value.order
        for new in (range(axis, axis + rank) if old == axis else (old + (rank - 1 if old > axis else 0),))
    )
    if value.is_constant and not indices.is_constant:
        table, positions = in_file_order(builder, [value, indices])
        return Value("", ops.take(table, positions, axis=axis))
    if indices.constant is None:
        return Value("", ops.take(value.tensor, builder.as_file(indices), axis=place), order)
    is_last = rank == 0 and value.static_shape[axis] is None and int(indices.constant) == -1
    chosen = indices.constant if is_last else known_indices(indices.constant, value.static_shape[axis])
    if rank == 0:
        key = tuple(int(chosen) if old == axis else slice(None) for old in value.order)
        return Value("", ops.get_item(value.tensor, key), order)
    if value.is_constant:
        return Value("", ops.take(value.tensor, chosen, axis=place), order)
    if rank == 1 and chosen.size and np.array_equal(chosen, np.arange(chosen[0], chosen[0] + chosen.size)):
        first = int(chosen[0])
        key = tuple(slice(first, first + chosen.size) if old == axis else slice(None) for old in value.order)
        return Value("", ops.get_item(value.tensor, key), order)
    held = chosen.tolist() if chosen.size <= _LISTED else builder.held(chosen, value.tensor)
    return Value("", ops.take(value.tensor, held, axis=place), order)


def known_indices(indices: NDArray[Any], length: int | None) -> NDArray[np.int64]:
    """Constant indices, counted from the front.

    Raises:
        ValueError: one lies outside the axis, or counts from the end of one of free length.
    """
    if indices.dtype.kind not in "iu":
        raise ValueError(f"its indices are {indices.dtype}; expected integers")
    wide = indices.astype(np.int64)
    if wide.size and (wide.min() < -(length or 0) or (length is not None and wide.max() >= length)):
        raise ValueError(f"its indices go from {wide.min()} to {wide.max()}, but the axis has {length} entries")
    return np.where(wide < 0, wide + (length or 0), wide)


@operator("GatherElements")
def gather_elements(builder: Builder, node: Node) -> Value:
    """ONNX's GatherElements: for each position the entry at its index along an axis."""
    value, indices = node[0], node[1]
    axis = value.positive(node.get("axis", 0))
    builder.keeps_examples_apart(value, [axis])
    if indices.rank != value.rank:
        raise ValueError(f"its indices have {indices.rank} axes; expected {value.rank}")
    table, positions = in_file_order(builder, [value, indices])
    key = []
    for place, (have, want) in enumerate(zip(value.static_shape, indices.static_shape, strict=True)):
        if place != axis and have != want:
            builder.keeps_examples_apart(value, [place])
            if have is None or want is None or want > have:
                node.refuse(f"its indices have the shape {indices.static_shape}, the data {value.static_shape}")
            key.append(slice(0, want))
        else:
            key.append(slice(None))
    if any(item != slice(None) for item in key):
        table = ops.get_item(table, tuple(key))
    return Value("", ops.take_along_axis(table, positions, axis=axis))


@operator("GatherND")
def gather_nd(builder: Builder, node: Node) -> Value:
    """ONNX's GatherND: the last axis of the indices holds positions along several axes of the data."""
    value, indices = node[0], node[1]
    batch, depth = node.get("batch_dims", 0), indices.static_shape[-1]
    if depth is None or batch < 0 or batch + depth > value.rank or indices.rank <= batch:
        raise ValueError(f"it looks up {depth} axes of {value.rank}, of which {batch} are a batch's")
    builder.keeps_examples_apart(value, range(batch, batch + depth))
    table, positions = in_file_order(builder, [value, indices])
    shape = builder.shape(value)
    places = builder.shape(indices)
    flat = flat_positions(positions, value.static_shape[batch : batch + depth])
    if batch == 0:
        table = builder.reshaped(table, (product(shape[:depth]), *shape[depth:]))
        return Value("", ops.take(table, flat, axis=0))
    inner = value.static_shape[batch:]
    looked_up = indices.static_shape[batch:-1]
    if None in inner or None in looked_up:
        node.refuse("lengths that are free behind the batch are not supported")
    entry = math.prod(inner[depth:])  # type: ignore[arg-type]
    table = ops.reshape(table, (-1, math.prod(inner[:depth]), entry))  # type: ignore[arg-type]
    flat = ops.reshape(flat, (-1, math.prod(looked_up), 1))  # type: ignore[arg-type]
    found = ops.take_along_axis(table, flat, axis=1)
    return Value("", builder.reshaped(found, (*places[:-1], *shape[batch + depth :])))


def flat_positions(positions: Any, lengths: Sequence[int | None]) -> Any:
    """Positions along several axes (the last axis of `positions`) as positions in these axes joined.

    Raises:
        ValueError: a length but the first is free.
    """
    if None in lengths[1:]:
        raise ValueError(f"it looks up positions along axes of the lengths {tuple(lengths)}, of which some are free")
    total: Any = None
    for index, length in enumerate(lengths):
        key = (*(slice(None),) * (len(positions.shape) - 1), index)
        along = ops.get_item(positions, key)
        if length is not None:
            along = ops.where(ops.less(along, 0), ops.add(along, length), along)
        step = math.prod(lengths[index + 1 :])  # type: ignore[arg-type]
        along = along if step == 1 else ops.multiply(along, step)
        total = along if total is None else ops.add(total, along)
    return total
