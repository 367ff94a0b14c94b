"""Quantised networks: integers that stand for floats.

They are computed in floating point, on numbers rounded as the file says: an ordinary convolution or matrix product of
dequantised weights, which can be trained, between roundings. Integers are made only where something asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import ops
from engine.layers.extensions import FakeQuantization
from engine.onnx.reading.arithmetic import aligned, combined, pairwise
from engine.onnx.reading.builder import Builder, FixedBatchError, policy
from engine.onnx.reading.convolution import convolution
from engine.onnx.reading.free_lengths import BATCH
from engine.onnx.reading.linear import matmul
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Quantized, Value
from engine.onnx.sizes import Size

_FLOAT32 = np.dtype(np.float32)


def scales(node: Node, scale_index: int, zero_index: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Constant scale and zero point (uint8 zero where it is left out), of the same shape."""
    scale = node.constant(scale_index, "scale").astype(np.float32)
    if node.optional(zero_index) is None:
        return scale, np.zeros(scale.shape, np.uint8)
    zero_point = node.constant(zero_index, "zero_point")
    if zero_point.dtype.kind not in "iu" or zero_point.dtype.itemsize > 4:
        node.refuse(f"quantisation to {zero_point.dtype} is not supported")
    if scale.size != zero_point.size or scale.ndim > 1:
        node.refuse(f"scales of the shape {scale.shape} with zero points of {zero_point.shape} are not supported")
    return scale, zero_point.reshape(scale.shape)


def _along(array: NDArray[Any], axis: int, rank: int) -> NDArray[Any]:
    """One number, or one for each entry of an axis, in a shape that broadcasts in the file's order."""
    if array.size == 1:
        return array.reshape(())
    return array.reshape([-1 if index == axis else 1 for index in range(rank)])


def quantize(builder: Builder, value: Value, scale: NDArray[Any], zero_point: NDArray[Any], axis: int) -> Value:
    """The value as integers, with the floats that they stand for."""
    whole = np.iinfo(zero_point.dtype)
    (tensor, scales), order, columns = aligned(builder, [value, Value("", constant=_along(scale, axis, value.rank))])
    (_, zeros), _, _ = aligned(builder, [value, Value("", constant=_along(zero_point, axis, value.rank))])
    weights = [np.asarray(scales, np.float32), np.asarray(zeros, np.float32)]
    layer = FakeQuantization(
        weights[0].shape, int(whole.min), int(whole.max), name=builder.name(), dtype=policy(value.dtype)
    )
    floats = Value("", builder.layer(layer, tensor, weights=weights), order, columns=columns)
    return integers_of(builder, floats, scale, zero_point, axis)


def integers_of(builder: Builder, floats: Value, scale: NDArray[Any], zero_point: NDArray[Any], axis: int) -> Value:
    """The integers that stand for floats which are rounded already; they keep those floats."""
    (tensor, steps), order, columns = aligned(builder, [floats, Value("", constant=_along(scale, axis, floats.rank))])
    integers = combined(builder, "divide", tensor, np.asarray(steps, np.float32))
    if zero_point.any():
        (_, zeros), _, _ = aligned(builder, [floats, Value("", constant=_along(zero_point, axis, floats.rank))])
        integers = combined(builder, "add", ops.round(integers), np.asarray(zeros, np.float32))
    integers = ops.cast(ops.round(integers), zero_point.dtype.name)
    known = Quantized(floats.tensor, scale, zero_point, axis)
    return Value("", integers, order, columns=columns, quantized=known)


def dequantize(builder: Builder, value: Value, scale: NDArray[Any], zero_point: NDArray[Any], axis: int) -> Value:
    """The floats that integers stand for."""
    if value.constant is not None:
        numbers = value.constant.astype(np.float32) - _along(zero_point, axis, value.rank).astype(np.float32)
        return Value("", constant=numbers * _along(scale, axis, value.rank))
    if value.quantized is not None and value.quantized.is_undone_by(scale, zero_point, axis):
        return Value("", value.quantized.tensor, value.order, columns=value.columns)
    floats = builder.unary(value, lambda tensor: ops.cast(tensor, "float32"))
    if zero_point.any():
        offset = _along(zero_point, axis, value.rank).astype(np.float32)
        floats = pairwise(builder, "subtract", floats, Value("", constant=offset))
    return pairwise(builder, "multiply", floats, Value("", constant=_along(scale, axis, value.rank)))


def _axis(node: Node, value: Value, scale: NDArray[Any]) -> int:
    if node.get("block_size", 0):
        node.refuse("quantisation by blocks is not supported")
    return value.positive(node.get("axis", 1)) if scale.size > 1 else 0


@operator("QuantizeLinear")
def quantize_linear(builder: Builder, node: Node) -> Value:
    """ONNX's QuantizeLinear, to integers of 8, 16 or 32 bits."""
    if node.get("output_dtype", 0) and node.optional(2) is None:
        node.refuse("an output_dtype without a zero point is not supported")
    scale, zero_point = scales(node, 1, 2)
    return quantize(builder, node[0], scale, zero_point, _axis(node, node[0], scale))


@operator("DequantizeLinear")
def dequantize_linear(builder: Builder, node: Node) -> Value:
    """ONNX's DequantizeLinear; of constants, such as weights, constants."""
    scale, zero_point = scales(node, 1, 2)
    return dequantize(builder, node[0], scale, zero_point, _axis(node, node[0], scale))


@operator("QLinearConv")
def quantized_convolution(builder: Builder, node: Node) -> Value:
    """ONNX's QLinearConv: a convolution of the floats, rounded."""
    floats = dequantize(builder, node[0], *scales(node, 1, 2), 1)
    scale, zero_point = scales(node, 4, 5)
    kernel = dequantize(builder, Value("", constant=node.constant(3, "w")), scale, zero_point, 0)
    inputs: list[Value | None] = [floats, kernel]
    if node.optional(8) is not None:
        step = scales(node, 1, 2)[0].reshape(-1) * scale.reshape(-1)
        inputs.append(Value("", constant=node.constant(8, "B").astype(np.float32) * step))
    result = convolution(builder, node.with_inputs(inputs))
    return quantize(builder, result, *scales(node, 6, 7), 1)


@operator("QLinearMatMul")
def quantized_product(builder: Builder, node: Node) -> Value:
    """ONNX's QLinearMatMul: a matrix product of the floats, rounded."""
    operands = []
    for first, is_left in ((0, True), (3, False)):
        value, (scale, zero_point) = node[first], scales(node, first + 1, first + 2)
        axis = value.rank - 2 if is_left else value.rank - 1
        operands.append(dequantize(builder, value, scale, zero_point, axis))
    result = matmul(builder, node.with_inputs(operands))
    return quantize(builder, result, *scales(node, 6, 7), 0)


# Scales that are found when the model runs ---------------------------------------------------------------------------


@operator("DynamicQuantizeLinear")
def dynamic_quantize_linear(builder: Builder, node: Node) -> Sequence[Value]:
    """ONNX's DynamicQuantizeLinear: to uint8, by the least and the largest number of the whole tensor."""
    value = node[0]
    if builder.declared_batch is not None and builder.shape(value)[:1] == (Size(BATCH),):
        raise FixedBatchError(f"{node.label} finds one scale for all examples of a batch")
    tensor = value.tensor
    low = ops.minimum(ops.min(tensor), 0.0)
    high = ops.maximum(ops.max(tensor), 0.0)
    scale = ops.divide(ops.subtract(high, low), 255.0)
    scale = ops.where(ops.equal(scale, 0.0), ops.ones_like(scale), scale)  # of zeros alone
    zero_point = ops.clip(ops.round(ops.divide(ops.negative(low), scale)), 0.0, 255.0)
    numbers = ops.clip(ops.add(ops.round(ops.divide(tensor, scale)), zero_point), 0.0, 255.0)
    return (
        Value("", ops.cast(numbers, "uint8"), value.order, columns=value.columns),
        Value("", scale),
        Value("", ops.cast(zero_point, "uint8")),
    )


@operator("MatMulInteger", "ConvInteger")
def integer_product(builder: Builder, node: Node) -> Value:
    """ONNX's MatMulInteger and ConvInteger: products of integers without their zero points, exact up to 2^24."""
    operands = []
    for index, is_left in ((0, True), (1, False)):
        value, zero_point = node[index], node.optional(index + 2)
        floats = _as_floats(builder, value)
        if zero_point is not None:
            offset = _as_floats(builder, zero_point)
            if offset.rank == 1 and offset.static_shape[0] != 1:
                if offset.constant is None or (node.operator == "ConvInteger" and is_left):
                    node.refuse("zero points by channel that are computed when the model runs are not supported")
                place = value.rank - 2 if is_left else value.rank - 1
                place = 0 if node.operator == "ConvInteger" else place
                offset = Value("", constant=_along(offset.constant, place, value.rank))
            elif offset.constant is not None:
                offset = Value("", constant=offset.constant.reshape(()))
            floats = _difference(builder, floats, offset)
        operands.append(floats)
    rule = matmul if node.operator == "MatMulInteger" else convolution
    result = rule(builder, node.with_inputs(operands))
    return builder.unary(result, lambda tensor: ops.cast(ops.round(tensor), "int32"))


def _as_floats(builder: Builder, value: Value) -> Value:
    if value.constant is not None:
        return Value(value.name, constant=value.constant.astype(_FLOAT32))
    return builder.unary(value, lambda tensor: ops.cast(tensor, "float32"))


def _difference(builder: Builder, left: Value, right: Value) -> Value:
    if left.constant is not None and right.constant is not None:
        return Value(left.name, constant=left.constant - right.constant)
    return pairwise(builder, "subtract", left, right)
