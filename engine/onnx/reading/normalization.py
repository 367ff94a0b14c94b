"""Normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import layers, ops
from engine.layers.extensions import LocalResponseNormalization
from engine.onnx.axes import channels_last
from engine.onnx.reading.arithmetic import pairwise
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


@operator("BatchNormalization")
def batch_normalization(builder: Builder, node: Node) -> Value:
    """ONNX's BatchNormalization with the statistics of the file."""
    value = node[0]
    if node.get("training_mode", 0) or node.get("is_test", 1) == 0:
        node.refuse("batch normalisation by the batch's own statistics is not supported")
    parameters = [node.constant(index, name) for index, name in enumerate(("X", "scale", "B", "mean", "var")) if index]
    if value.rank < 2:
        raise ValueError(f"it normalises the channels of a tensor of {value.rank} axes; expected 2 or more")
    if node.get("spatial", 1) == 0 and value.rank > 2:
        return _by_position(builder, node, value, parameters)
    columns = value.columns if value.rank == 2 else None
    if columns is None:
        value = builder.with_file_columns(value)
    else:
        parameters = [array[columns] for array in parameters]
    layer = _batch_layer(builder, node, value, value.axis(1))
    return Value("", builder.layer(layer, value.tensor, weights=parameters), value.order, columns=columns)


def _batch_layer(builder: Builder, node: Node, value: Value, axis: int) -> Any:
    return layers.BatchNormalization(
        axis=axis,
        momentum=node.get("momentum", 0.9),
        epsilon=node.get("epsilon", 1e-5),
        name=builder.name(),
        dtype=policy(value.dtype),
    )


def _by_position(builder: Builder, node: Node, value: Value, parameters: list[NDArray[Any]]) -> Value:
    """Statistics for each position of each channel (spatial=0, up to version 8): those of the columns of a matrix."""
    lengths = builder.shape(value)
    inner = value.static_shape[1:]
    if None in inner or value.order[0] != 0:
        node.refuse(f"statistics for each position of a tensor of the shape {lengths} are not supported")
    turn = [axis - 1 for axis in value.order[1:]]
    columns = [array.reshape(inner).transpose(turn).ravel() for array in parameters]  # type: ignore[arg-type]
    matrix = builder.reshaped(value.tensor, (lengths[0], len(columns[0])))
    result = builder.layer(_batch_layer(builder, node, value, -1), matrix, weights=columns)
    return Value("", builder.reshaped(result, [lengths[axis] for axis in value.order]), value.order)


@operator("ImageScaler")
def image_scaler(builder: Builder, node: Node) -> Value:
    """The ImageScaler of ONNX's beginnings, which Core ML's converter writes: x · scale + a bias for each channel."""
    bias = np.asarray(node.get("bias", []), np.float32)
    scaled = pairwise(builder, "multiply", node[0], Value("", constant=np.asarray(node.get("scale", 1.0), np.float32)))
    shape = (-1, *(1,) * (node[0].rank - 2))
    return pairwise(builder, "add", scaled, Value("", constant=bias.reshape(shape))) if bias.size else scaled


@operator("InstanceNormalization")
def instance_normalization(builder: Builder, node: Node) -> Value:
    """ONNX's InstanceNormalization: each channel of each example by its own mean and variance."""
    scale, offset = node.constant(1, "scale"), node.constant(2, "B")
    return _grouped(builder, node, len(scale), scale, offset)


@operator("GroupNormalization")
def group_normalization(builder: Builder, node: Node) -> Value:
    """ONNX's GroupNormalization: scale and offset for each group up to version 20, for each channel since."""
    groups = node.get("num_groups", 0)
    scale, offset = node.constant(1, "scale"), node.constant(2, "bias")
    channels = node[0].static_shape[1]
    if channels is None or groups < 1 or channels % groups:
        raise ValueError(f"it normalises {channels} channels in {groups} groups")
    if node.version < 21:
        scale, offset = (np.repeat(array, channels // groups) for array in (scale, offset))
    return _grouped(builder, node, groups, scale, offset)


def _grouped(builder: Builder, node: Node, groups: int, scale: NDArray[Any], offset: NDArray[Any]) -> Value:
    value = node[0]
    layer = layers.GroupNormalization(
        groups=groups, axis=-1, epsilon=node.get("epsilon", 1e-5), name=builder.name(), dtype=policy(value.dtype)
    )
    tensor = builder.layer(layer, builder.channels_last(value), weights=[scale, offset])
    return Value("", tensor, channels_last(value.rank))


@operator("LayerNormalization")
@operator("LayerNorm", domain="beagle")
def layer_normalization(builder: Builder, node: Node) -> Value | list[Value]:
    """ONNX's LayerNormalization over the axes from one on; the mean and 1 / deviation, too, where they are read."""
    value = builder.with_file_columns(node[0])
    first = value.positive(node.get("axis", -1))
    builder.keeps_examples_apart(value, range(first, value.rank))
    scale = node.constant(1, "Scale")
    offset = node.constant(2, "B") if node.optional(2) is not None else None
    axes = range(first, value.rank)
    lengths = tuple(length for length in value.static_shape[first:] if length is not None)
    if len(lengths) < len(axes):
        node.refuse("normalising over axes of free length is not supported")
    ours = [axis for axis in value.order if axis >= first]  # the file's axes in the order in which we have them
    turn = [axis - first for axis in ours]
    parameters = [np.broadcast_to(array, lengths).transpose(turn) for array in (scale, offset) if array is not None]
    layer = layers.LayerNormalization(
        axis=sorted(value.axis(axis) for axis in axes),
        epsilon=node.get("epsilon", 1e-5),
        center=offset is not None,
        name=builder.name(),
        dtype=policy(value.dtype),
    )
    result = Value("", builder.layer(layer, value.tensor, weights=parameters), value.order)
    return (
        [result, *_statistics(node, value, sorted(value.axis(axis) for axis in axes))]
        if any(node.outputs[1:])
        else result
    )


def _statistics(node: Node, value: Value, axes: Sequence[int]) -> list[Value]:
    mean, variance = ops.moments(value.tensor, axes, keepdims=True)
    inverse = ops.rsqrt(ops.add(variance, node.get("epsilon", 1e-5)))
    return [Value("", mean, value.order), Value("", inverse, value.order)]


@operator("LpNormalization")
def lp_normalization(builder: Builder, node: Node) -> Value:
    """ONNX's LpNormalization: divided by the sum of the sizes, or the root of that of the squares, along an axis."""
    value = builder.with_file_columns(node[0])
    axis, order = value.axis(node.get("axis", -1)), node.get("p", 2)
    builder.keeps_examples_apart(value, [value.order[axis]])
    if order not in (1, 2):
        raise ValueError(f"its p is {order}; expected 1 or 2")
    length = ops.norm(value.tensor, ord=order, axis=axis, keepdims=True)
    return Value("", ops.divide_no_nan(value.tensor, length), value.order)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(builder: Builder, node: Node) -> Value:
    """ONNX's MeanVarianceNormalization: mean 0 and deviation 1 over some axes."""
    value = builder.with_file_columns(node[0])
    axes = sorted(value.axis(axis) for axis in node.get("axes", [0, 2, 3]))
    builder.keeps_examples_apart(value, [value.order[axis] for axis in axes])
    centred = ops.subtract(value.tensor, ops.mean(value.tensor, axis=axes, keepdims=True))
    deviation = ops.sqrt(ops.mean(ops.square(centred), axis=axes, keepdims=True))
    return Value("", ops.divide(centred, ops.add(deviation, 1e-9)), value.order)


@operator("LRN")
def local_response_normalization(builder: Builder, node: Node) -> Value:
    """ONNX's LRN: each number by the squares of those of the channels around it."""
    value = node[0]
    layer = LocalResponseNormalization(
        size=node.get("size"),
        alpha=node.get("alpha", 1e-4),
        beta=node.get("beta", 0.75),
        bias=node.get("bias", 1.0),
        name=builder.name(),
        dtype=policy(value.dtype),
    )
    return Value("", layer(builder.channels_last(value)), channels_last(value.rank))
