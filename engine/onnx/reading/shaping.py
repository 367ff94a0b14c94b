"""Operators that move values: order of axes, shapes, joining."""

from __future__ import annotations

from typing import Any

from engine import layers
from engine.onnx.axes import transposed
from engine.onnx.reading.builder import Builder, FixedBatchError, policy
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.repeating import over_batch
from engine.onnx.reading.reshaping import product, reshape_value, wanted_shape
from engine.onnx.reading.value import Value


@operator("Transpose")
def transpose(builder: Builder, node: Node) -> Value:
    """ONNX's Transpose: nothing moves, the order is another from here on."""
    value = builder.with_file_columns(node[0])
    axes = node.get("perm") or list(reversed(range(value.rank)))
    if sorted(axes) != list(range(value.rank)):
        raise ValueError(f"its perm {axes} is no order of {value.rank} axes")
    if value.constant is not None:
        return Value("", constant=value.constant.transpose(axes))
    return Value("", value.tensor, transposed(value.order, axes))


@operator("Flatten")
def flatten(builder: Builder, node: Node) -> Value:
    """ONNX's Flatten: a matrix of the axes before one and of those from it on."""
    value = node[0]
    axis = node.get("axis", 1)
    axis = axis + value.rank if axis < 0 else axis
    lengths = builder.shape(value)
    rows, columns = product(lengths[:axis]), product(lengths[axis:])
    return reshape_value(builder, value, (rows, columns))


@operator("Reshape")
def reshape(builder: Builder, node: Node) -> Value:
    """ONNX's Reshape: 0 keeps a length, -1 stands for what remains."""
    value = node[0]
    target = list(node.constant(1, "shape").ravel()) if node.version >= 5 else node.get("shape", [])
    return reshape_value(builder, value, wanted_shape(builder, value, target, bool(node.get("allowzero", 0))))


@operator("Unsqueeze")
def unsqueeze(builder: Builder, node: Node) -> Value:
    """ONNX's Unsqueeze: new axes of length 1."""
    value = node[0]
    axes = node.integers(1, "axes") if node.version >= 13 else node.get("axes", [])
    rank = value.rank + len(axes)
    places = {axis % rank for axis in axes}
    lengths = iter(builder.shape(value))
    return reshape_value(builder, value, [1 if axis in places else next(lengths) for axis in range(rank)])


@operator("Squeeze")
def squeeze(builder: Builder, node: Node) -> Value:
    """ONNX's Squeeze: axes of length 1 go."""
    value = node[0]
    axes = node.get("axes")
    if node.version >= 13:
        axes = node.integers(1, "axes") if node.optional(1) is not None else None
    lengths = builder.shape(value)
    if axes is None:
        dropped = {axis for axis, length in enumerate(lengths) if length == 1}
        if builder.declared_batch == 1:
            builder.keeps_examples_apart(value, range(value.rank))  # the file drops the batch, too
    else:
        dropped = {value.positive(axis) for axis in axes}
    if any(lengths[axis] != 1 for axis in dropped):
        raise ValueError(f"it drops the axes {sorted(dropped)} of a tensor of the shape {lengths}")
    return reshape_value(builder, value, [length for axis, length in enumerate(lengths) if axis not in dropped])


@operator("Concat")
def concat(builder: Builder, node: Node) -> Value:
    """ONNX's Concat, in the order of the first running value."""
    values = [node[index] for index in range(len(node))]
    running = [value for value in values if not value.is_constant]
    leader = builder.with_file_columns(running[0] if running else values[0])
    axis = leader.positive(node.get("axis", 1))
    if running:
        values = _with_batch(builder, values, running, axis)
    tensors = [_arranged(builder, value, leader) for value in values]
    if len(tensors) == 1:
        return Value("", tensors[0], leader.order)
    layer = layers.Concatenate(axis=leader.axis(axis), name=builder.name(), dtype=policy(leader.dtype))
    return Value("", layer(tensors), leader.order)


def _with_batch(builder: Builder, values: list[Value], running: list[Value], axis: int) -> list[Value]:
    """The values, those of one row repeated for each example where the others have the batch that the file fixes.

    A file for one example joins (1, 1, size) with (1, time, size); the first one belongs to every example.
    """
    if builder.declared_batch is None:
        return values
    places = {builder.batch_axis(value) for value in running} - {None}
    if not places:
        return values
    (batch,) = places if len(places) == 1 else (None,)
    if batch is None or batch == axis:
        raise FixedBatchError("it joins the examples of a batch of which the file fixes the length")
    found = []
    for value in values:
        if builder.batch_axis(value) == batch:
            found.append(value)
        elif value.static_shape[batch] == 1 == builder.declared_batch:
            found.append(over_batch(builder, value, batch))
        else:
            raise FixedBatchError(f"it joins {value.name!r}, which has {value.static_shape[batch]} rows, to a batch")
    return found


def _arranged(builder: Builder, value: Value, leader: Value) -> Any:
    if value.constant is None or leader.is_constant:
        return builder.arranged(value, leader.order)
    return builder.held(value.constant.transpose(leader.order), leader.tensor)
