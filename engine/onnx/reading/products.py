"""Products and sums other than Gemm's and MatMul's: of named axes, of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import ops
from engine.onnx.reading.arithmetic import combined, in_file_order
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


@operator("Einsum")
def einsum(builder: Builder, node: Node) -> Value:
    """ONNX's Einsum: the sum over axes that a formula names."""
    function = getattr(ops, "einsum", None)
    if function is None:
        node.refuse("products of named axes are not supported")
    values = [node[index] for index in range(len(node))]
    return Value("", function(node.get("equation", "").replace(" ", ""), *in_file_order(builder, values)))


@operator("MatMulInteger")
def matmul_integer(builder: Builder, node: Node) -> Value:
    """ONNX's MatMulInteger: a matrix product of integers of eight bits, from which zero points are subtracted first."""
    factors: list[Any] = []
    for index, name in enumerate(("a_zero_point", "b_zero_point")):
        value = node[index]
        zero = node.constant(index + 2, name).astype(np.int32) if node.optional(index + 2) is not None else None
        if zero is not None and zero.size > 1 and index == 0 and zero.ndim == 1:
            zero = zero[:, None]  # one for each row
        if value.constant is not None and not all(item is None or item.is_constant for item in node.inputs[:2]):
            array = value.constant.astype(np.int32)
            factors.append(array if zero is None else array - zero)
            continue
        tensor = ops.cast(builder.as_file(value), "int32")
        if zero is not None and zero.any():
            tensor = combined(builder, "subtract", tensor, zero.reshape(()) if zero.size == 1 else zero)
        factors.append(tensor)
    left, right = factors
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return Value("", combined(builder, "matmul", left, right))
    return Value("", ops.matmul(left, right))
