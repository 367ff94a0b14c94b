"""Tensors repeated, and made of nothing but a shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine import ops
from engine.layers.extensions import Expansion
from engine.onnx.axes import same
from engine.onnx.file import dtype_of
from engine.onnx.reading.arithmetic import pairwise
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.evaluation import CONSTANT_LIMIT
from engine.onnx.reading.free_lengths import BATCH
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value
from engine.onnx.sizes import Size, UnknownSizeError


def over_batch(builder: Builder, value: Value, axis: int) -> Value:
    """A value of length 1 along an axis of the file, repeated there for each example of the batch."""
    return _over(builder, value, axis, Size(BATCH))


def _over(builder: Builder, value: Value, axis: int, length: Size) -> Value:
    """A value of length 1 along an axis of the file, repeated there as often as a free length says."""
    shape = [length if place == axis else 1 for place in range(value.rank)]
    filling = value.filling
    if value.constant is not None and value.constant.size == 1:
        filling = value.constant.item()
    if filling is not None and all(item == 1 for item in value.static_shape):
        return builder.filled(shape, filling, value.dtype)
    kind = "logical_or" if value.dtype.kind == "b" else "add"
    return pairwise(builder, kind, value, builder.filled(shape, 0, value.dtype))


@operator("Expand")
def expand(builder: Builder, node: Node) -> Value:
    """ONNX's Expand: lengths of 1 grow to those of a shape, with which the value broadcasts."""
    value = node[0]
    wanted = list(node.constant(1, "shape").ravel())
    return expanded(builder, value, wanted)


def expanded(builder: Builder, value: Value, wanted: list[Any]) -> Value:
    """A value broadcast together with a shape, in which lengths may be free."""
    rank = max(value.rank, len(wanted))
    lengths = [1] * (rank - value.rank) + list(builder.shape(value))
    wanted = [1] * (rank - len(wanted)) + [item if isinstance(item, Size) else int(item) for item in wanted]
    if any(not isinstance(length, Size) and length < 0 for length in wanted):
        raise ValueError(f"it expands to the shape {wanted}")
    if rank > value.rank:
        value = Value(value.name, builder.reshaped(builder.as_file(value), lengths), constant=_grown(value, rank))
    changed: dict[int, int] = {}
    for axis, (have, want) in enumerate(zip(lengths, wanted, strict=True)):
        if (not isinstance(want, Size) and want == 1) or have == want:
            continue
        if isinstance(have, Size) and have == Size(BATCH) and want == builder.declared_batch:
            continue
        if isinstance(have, Size) or have != 1:
            raise ValueError(f"a tensor of the shape {tuple(lengths)} does not expand to {tuple(wanted)}")
        if isinstance(want, Size):
            value = _over(builder, value, axis, want)
        else:
            changed[axis] = want
    if not changed:
        return builder.unary(value, lambda tensor: tensor)
    value = builder.with_file_columns(value)
    shape = tuple(changed.get(axis, value.static_shape[axis]) for axis in value.order)
    if None not in shape:
        return Value("", ops.broadcast_to(value.tensor, shape), value.order)
    layer = Expansion([changed.get(axis) for axis in value.order], name=builder.name(), dtype=policy(value.dtype))
    return Value("", layer(value.tensor), value.order, filling=value.filling)


def _grown(value: Value, rank: int) -> Any:
    return None if value.constant is None else value.constant.reshape((1,) * (rank - value.rank) + value.constant.shape)


@operator("Tile")
def tile(builder: Builder, node: Node) -> Value:
    """ONNX's Tile: the whole tensor several times along each axis."""
    value = node[0]
    repeats = list(node.constant(1, "repeats").ravel())
    if len(repeats) != value.rank:
        raise ValueError(f"it repeats {value.rank} axes {repeats} times")
    if any(isinstance(count, Size) for count in repeats):
        lengths = builder.shape(value)
        if any(isinstance(count, Size) and lengths[axis] != 1 for axis, count in enumerate(repeats)):
            raise UnknownSizeError(f"repeating a tensor of the shape {lengths} {repeats} times is not supported")
        value = expanded(builder, value, [count if isinstance(count, Size) else 1 for count in repeats])
        repeats = [1 if isinstance(count, Size) else count for count in repeats]
    counts = [int(count) for count in repeats]
    builder.keeps_examples_apart(value, [axis for axis, count in enumerate(counts) if count != 1])
    if all(count == 1 for count in counts):
        return builder.unary(value, lambda tensor: tensor)
    value = builder.with_file_columns(value)
    return Value("", ops.tile(value.tensor, [counts[axis] for axis in value.order]), value.order)


# Of a shape alone ----------------------------------------------------------------------------------------------------


@operator("ConstantOfShape")
def constant_of_shape(builder: Builder, node: Node) -> Value:
    """ONNX's ConstantOfShape: one number everywhere."""
    shape = [item if isinstance(item, Size) else int(item) for item in node.constant(0, "shape").ravel()]
    given = node.get("value")
    filling = np.zeros(1, np.float32) if given is None else builder.widened(np.ravel(given))
    return builder.filled(shape, filling[0].item(), filling.dtype)


@operator("Range")
def range_(builder: Builder, node: Node) -> Value:
    """ONNX's Range up to a free length: the places along it, counted when the model runs."""
    names = enumerate(("start", "limit", "step"))
    start, limit, step = (node.constant(index, name).ravel()[0] for index, name in names)
    count = limit - start
    if not isinstance(count, Size) or step != 1 or (count.factor, count.offset) != (1, 0):
        raise UnknownSizeError(f"a range from {start} to {limit} in steps of {step} is not supported")
    ones = ops.add(builder.zeros_along(count.symbol, np.dtype(np.int64)), 1)
    return Value("", ops.add(ops.cumsum(ones, 0), int(start) - 1))


@operator("EyeLike")
def eye_like(builder: Builder, node: Node) -> Value:
    """ONNX's EyeLike: ones on a diagonal, in the shape of a matrix."""
    shape = [length for length in node[0].static_shape if length is not None]
    if node[0].rank != 2 or len(shape) != 2:
        node.refuse(f"a matrix of the shape {node[0].static_shape} is not supported; expected two known lengths")
    to = node.get("dtype")
    dtype = node[0].dtype if to is None else builder.widened_dtype(dtype_of(to, node.label))
    if math.prod(shape) * dtype.itemsize > CONSTANT_LIMIT:
        raise ValueError(f"it makes a constant of the shape {shape}; {CONSTANT_LIMIT} bytes are allowed")
    return Value("", constant=np.eye(shape[0], shape[1], k=node.get("k", 0)).astype(dtype))


@operator("Trilu")
def triangle(builder: Builder, node: Node) -> Value:
    """ONNX's Trilu: of matrices what lies on one side of a diagonal, zeros on the other."""
    value = node[0]
    (diagonal,) = node.integers(1, "k") if node.optional(1) is not None else (0,)
    last = (value.rank - 2, value.rank - 1)
    builder.keeps_examples_apart(value, last)
    is_in_place = value.columns is None and value.order[-2:] == last
    tensor, order = (value.tensor, value.order) if is_in_place else (builder.as_file(value), same(value.rank))
    if None not in value.static_shape[-2:] and math.prod(value.static_shape[-2:]) > CONSTANT_LIMIT:  # type: ignore[arg-type]
        raise ValueError(f"its matrices of the shape {value.static_shape[-2:]} take a mask that is too large")
    limit = max(length or 0 for length in value.static_shape) if None not in value.static_shape[-2:] else 1 << 31
    diagonal = max(-limit, min(limit, diagonal))  # further out is the same
    kept = ops.triu(tensor, diagonal) if node.get("upper", 1) else ops.tril(tensor, diagonal)
    return Value("", ops.cast(kept, value.dtype.name), order)
