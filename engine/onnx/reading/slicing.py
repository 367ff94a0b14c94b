"""Parts of a tensor: slices, splits, chosen entries. Axes are followed to where they lie; nothing is transposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.free_lengths import BATCH
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value
from engine.onnx.sizes import Size, UnknownSizeError


def part(builder: Builder, value: Value, ranges: dict[int, slice]) -> Value:
    """The part of a value along axes of the file; axes of which everything is taken stay out of it."""
    kept = {axis: item for axis, item in ranges.items() if not _is_whole(builder, value, axis, item)}
    builder.keeps_examples_apart(value, list(kept))
    if not kept:
        return builder.unary(value, lambda tensor: tensor)
    value = builder.with_file_columns(value)
    key = tuple(kept.get(axis, slice(None)) for axis in value.order)
    return Value("", ops.get_item(value.tensor, key), value.order)


def _is_whole(builder: Builder, value: Value, axis: int, item: slice) -> bool:
    length = value.static_shape[axis]
    if item.step not in (None, 1) or item.start not in (None, 0):
        return False
    if length is None and builder.declared_batch is not None and builder.shape(value)[axis] == Size(BATCH):
        length = builder.declared_batch
    return item.stop is None or (item.stop >= length if length is not None else item.stop >= (1 << 31) - 1)


def slices(node: Node, rank: int, lengths: Sequence[Any] = ()) -> tuple[slice, ...]:
    """The ranges that a Slice node takes along each axis.

    Args:
        lengths: of the axes; an end that is the free length of its own axis means everything.

    Raises:
        ValueError: the lists of starts, ends, axes and steps have different lengths, or a step is 0.
    """
    if node.version < 10:
        starts, ends = node.get("starts", []), node.get("ends", [])
        axes, steps = node.get("axes"), None
    else:
        starts, ends = node.integers(1, "starts"), node.constant(2, "ends").ravel().tolist()
        axes = node.integers(3, "axes") if node.optional(3) is not None else None
        steps = node.integers(4, "steps") if node.optional(4) is not None else None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ValueError(f"it slices from {starts} to {ends} along {axes} in steps of {steps}")
    ranges = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not -rank <= axis < rank:
            raise ValueError(f"it slices along axis {axis} of {rank}")
        if isinstance(end, Size):
            end = (1 << 63) - 1 if lengths and end == lengths[axis % rank] else int(end)
        length = lengths[axis % rank] if lengths else None
        if step < 0 and start < -1 and not isinstance(length, int):
            raise UnknownSizeError(f"whether entry {start} lies before an axis of free length is not known")
        if step < 0 and isinstance(length, int) and start < -length:
            start = 0  # ONNX begins at the first entry, Python before it
        # Going backwards, an end before the first entry is None in Python: -1 would be the last one.
        stop = None if step < 0 and end < -(1 << 31) + 2 else end
        ranges[axis % rank] = slice(start, stop, step)
    return tuple(ranges)


@operator("Slice")
def slice_(builder: Builder, node: Node) -> Value:
    """ONNX's Slice."""
    value = node[0]
    lengths = value.static_shape if None not in value.static_shape else builder.shape(value)
    ranges = slices(node, value.rank, lengths)
    return part(builder, value, {axis: item for axis, item in enumerate(ranges) if item != slice(None)})


@operator("Split")
def split(builder: Builder, node: Node) -> list[Value]:
    """ONNX's Split: into parts of given sizes, or into as many equal ones as there are outputs."""
    value = node[0]
    axis = value.positive(node.get("axis", 0))
    length = value.static_shape[axis]
    if length is None:
        builder.keeps_examples_apart(value, [axis])
        node.refuse("splitting along an axis of free length is not supported")
    sizes = node.integers(1, "split") if node.optional(1) is not None else node.get("split")
    if sizes is None:
        count = node.get("num_outputs", len(node.outputs))
        if count < 1 or count > max(1, len(node.outputs)):
            raise ValueError(f"its num_outputs is {count}, and it has {len(node.outputs)} outputs")
        each = -(-length // count)
        sizes = [min(each, max(0, length - each * index)) for index in range(count)]
    if sum(sizes) != length or min(sizes) < 0 or len(sizes) < len(node.outputs):
        raise ValueError(f"it splits {length} entries into {sizes} for {len(node.outputs)} outputs")
    value = builder.with_file_columns(value)
    cuts = np.cumsum(sizes[:-1]).tolist()
    return [Value("", tensor, value.order) for tensor in ops.split(value.tensor, cuts, value.axis(axis))]


@operator("Compress")
def compress(builder: Builder, node: Node) -> Value:
    """ONNX's Compress by a condition that is known: the entries where it is true."""
    value = builder.with_file_columns(node[0])
    chosen = np.flatnonzero(node.constant(1, "condition")).tolist()
    axis = node.get("axis")
    if axis is None:
        flat: Any = ops.reshape(builder.as_file(value), (-1,))
        builder.keeps_examples_apart(value, range(value.rank))
        return Value("", ops.take(flat, chosen, axis=0))
    builder.keeps_examples_apart(value, [value.positive(axis)])
    return Value("", ops.take(value.tensor, chosen, axis=value.axis(axis)), value.order)


@operator("NonZero", "Unique")
def data_dependent(builder: Builder, node: Node) -> Value:
    """ONNX's operators whose results have as many entries as the data happen to say."""
    return node.refuse("how many entries it gives depends on the data; plans have fixed shapes")
