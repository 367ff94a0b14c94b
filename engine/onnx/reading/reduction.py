"""Reductions over axes, positions of extrema, running sums. Axes are followed to where they lie; nothing moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine import ops
from engine.onnx.axes import channels_last, without
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.pooling import GLOBAL_AVERAGE, GLOBAL_MAXIMUM
from engine.onnx.reading.value import Value

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceSum": ops.sum,
    "ReduceMean": ops.mean,
    "ReduceMax": ops.max,
    "ReduceMin": ops.min,
    "ReduceProd": ops.prod,
    "ReduceL1": lambda tensor, axes, keepdims: ops.sum(ops.absolute(tensor), axes, keepdims),
    "ReduceL2": lambda tensor, axes, keepdims: ops.sqrt(ops.sum(ops.square(tensor), axes, keepdims)),
    "ReduceLogSum": lambda tensor, axes, keepdims: ops.log(ops.sum(tensor, axes, keepdims)),
    "ReduceLogSumExp": ops.logsumexp,
    "ReduceSumSquare": lambda tensor, axes, keepdims: ops.sum(ops.square(tensor), axes, keepdims),
}

_POOLING: dict[str, dict[int, Any]] = {"ReduceMean": GLOBAL_AVERAGE, "ReduceMax": GLOBAL_MAXIMUM}


def reduced_axes(node: Node, value: Value) -> list[int]:
    """The file's axes that a reduction goes over: an attribute, or an input in newer versions; by default all."""
    given = node.integers(1, "axes") if node.optional(1) is not None else node.get("axes")
    if not given:
        return [] if node.get("noop_with_empty_axes", 0) else list(range(value.rank))
    axes = [value.positive(axis) for axis in given]
    if len(set(axes)) != len(axes):
        raise ValueError(f"its axes {given} name one twice")
    return sorted(axes)


@operator(*_FUNCTIONS)
def reduction(builder: Builder, node: Node) -> Value:
    """ONNX's Reduce…; over all spatial axes of channels-last images it is a layer of global pooling."""
    value = builder.with_file_columns(node[0])
    axes, keepdims = reduced_axes(node, value), bool(node.get("keepdims", 1))
    builder.keeps_examples_apart(value, axes)
    order = value.order if keepdims else without(value.order, axes)
    pooling = _POOLING.get(node.operator, {}).get(value.rank - 2)
    if (
        pooling is not None
        and axes == list(range(2, value.rank))
        and value.order == channels_last(value.rank)
        and value.dtype.kind == "f"
    ):
        layer = pooling(keepdims=keepdims, name=builder.name(), dtype=policy(value.dtype))
        return Value("", layer(value.tensor), order)
    tensor = _FUNCTIONS[node.operator](value.tensor, tuple(sorted(value.axis(axis) for axis in axes)), keepdims)
    return Value("", ops.cast(tensor, value.dtype.name), order)


@operator("ArgMax", "ArgMin")
def position(builder: Builder, node: Node) -> Value:
    """ONNX's ArgMax and ArgMin: the first position, or the last one."""
    value = builder.with_file_columns(node[0])
    axis = value.positive(node.get("axis", 0))
    keepdims = bool(node.get("keepdims", 1))
    builder.keeps_examples_apart(value, [axis])
    function = ops.argmax if node.operator == "ArgMax" else ops.argmin
    place, tensor = value.axis(axis), value.tensor
    if node.get("select_last_index", 0):
        last = value.static_shape[axis]
        if last is None:
            node.refuse("the last position along an axis of free length is not supported")
        tensor = ops.subtract(last - 1, function(ops.flip(tensor, place), place, keepdims))
    else:
        tensor = function(tensor, place, keepdims)
    return Value("", ops.cast(tensor, "int64"), value.order if keepdims else without(value.order, [axis]))


@operator("CumSum")
def running_sum(builder: Builder, node: Node) -> Value:
    """ONNX's CumSum: from the front or from the end, with or without the entry itself."""
    value = builder.with_file_columns(node[0])
    (axis,) = node.integers(1, "axis")
    axis = value.positive(axis)
    builder.keeps_examples_apart(value, [axis])
    place, tensor = value.axis(axis), value.tensor
    if node.get("reverse", 0):
        tensor = ops.flip(tensor, place)
    if node.get("exclusive", 0):
        tensor = _delayed(tensor, place)
    tensor = ops.cast(ops.cumsum(tensor, place), value.dtype.name)
    return Value("", ops.flip(tensor, place) if node.get("reverse", 0) else tensor, value.order)


def _delayed(tensor: Any, axis: int) -> Any:
    """Entries moved on by one along an axis, a zero in front, the last one gone."""
    widths = [(1, 0) if place == axis else (0, 0) for place in range(len(tensor.shape))]
    key: Sequence[Any] = [slice(None, -1) if place == axis else slice(None) for place in range(len(tensor.shape))]
    return ops.get_item(ops.pad(tensor, widths), tuple(key))


@operator("Hardmax")
def hardmax(builder: Builder, node: Node) -> Value:
    """ONNX's Hardmax: 1 at the first maximum along an axis (before version 13 over all axes from it on), else 0."""
    value = builder.with_file_columns(node[0])
    axis = value.positive(node.get("axis", -1 if node.version >= 13 else 1))
    builder.keeps_examples_apart(value, [axis] if node.version >= 13 else range(axis, value.rank))
    lengths = value.static_shape[axis:]
    if None in lengths[: 1 if node.version >= 13 else None]:
        node.refuse("positions along an axis of free length are not supported")
    if node.version >= 13 or len(lengths) == 1:
        place = value.axis(axis)
        encoded = ops.one_hot(ops.argmax(value.tensor, place), lengths[0], place, value.dtype.name)
        return Value("", encoded, value.order)
    shape = builder.shape(value)
    count = 1
    for length in lengths:
        count *= length or 1
    flat = builder.reshaped(builder.as_file(value), (*shape[:axis], count))
    return Value("", builder.reshaped(ops.one_hot(ops.argmax(flat, -1), count, -1, value.dtype.name), shape))
