"""Matrix products: Gemm and MatMul, as dense layers where the weights are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import layers, ops
from engine.onnx.axes import same
from engine.onnx.reading.arithmetic import aligned, combined, pairwise
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


def dense(builder: Builder, value: Value, weights: NDArray[Any], bias: NDArray[Any] | None) -> Value:
    """The last axis of the file times weights (inputs, units), plus a bias (units,): a Dense layer."""
    order = same(value.rank)
    if value.columns is not None:
        weights, tensor = weights[value.columns], value.tensor
    elif value.order[-1] == value.rank - 1:
        tensor, order = value.tensor, value.order  # the axes before it may lie in any order
    else:
        tensor = builder.as_file(value)
    layer = layers.Dense(weights.shape[1], use_bias=bias is not None, dtype=policy(value.dtype), name=builder.name())
    result = builder.layer(layer, tensor, weights=[weights] if bias is None else [weights, bias])
    return Value("", result, order)


@operator("Gemm")
def gemm(builder: Builder, node: Node) -> Value:
    """ONNX's Gemm: alpha · A' · B' + beta · C."""
    left, right, offset = node[0], node[1], node.optional(2)
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if left.rank != 2 or right.rank != 2:
        raise ValueError(f"it multiplies tensors of {left.rank} and {right.rank} axes; expected 2 and 2")
    if right.constant is not None and not left.is_constant and not node.get("transA", 0):
        weights = right.constant.T if node.get("transB", 0) else right.constant
        if alpha != 1.0:
            weights = weights * weights.dtype.type(alpha)
        added = offset.constant if offset is not None else None
        if (
            added is not None
            and added.size in (1, weights.shape[1])
            and added.ndim <= 2
            and added.shape[:-1] in ((), (1,))
        ):
            bias = np.broadcast_to(added.reshape(-1), (weights.shape[1],)) * added.dtype.type(beta)
            return dense(builder, left, weights, bias)
        product = dense(builder, left, weights, None)
    else:
        factors = [builder.as_file(left), builder.as_file(right)]
        for index, name in enumerate(("transA", "transB")):
            if node.get(name, 0):
                factors[index] = ops.transpose(factors[index], (1, 0))
        tensor = ops.matmul(*factors)
        product = Value("", tensor if alpha == 1.0 else ops.multiply(tensor, alpha))
    if offset is None:
        return product
    if beta != 1.0:
        if offset.constant is not None:
            offset = Value("", constant=offset.constant * offset.constant.dtype.type(beta))
        else:
            (tensor,), order, _ = aligned(builder, [offset])
            offset = Value("", combined(builder, "multiply", tensor, np.asarray(beta)), order)
    return pairwise(builder, "add", product, offset)


@operator("BiasedMatMul", domain="beagle")
def biased_matmul(builder: Builder, node: Node) -> Value:
    """A matrix product plus a row: what patterns write."""
    row = node.constant(2, "bias")
    return dense(builder, node[0], node.constant(1, "B"), row.reshape(-1))


@operator("MatMul")
def matmul(builder: Builder, node: Node) -> Value:
    """ONNX's MatMul: NumPy's."""
    left, right = node[0], node[1]
    if right.constant is not None and right.rank == 2 and not left.is_constant and left.rank >= 2:
        return dense(builder, left, right.constant, None)
    if left.is_constant != right.is_constant:
        constant, running = (left, right) if left.is_constant else (right, left)
        assert constant.constant is not None
        tensor = builder.as_file(running)
        operands = (constant.constant, tensor) if left.is_constant else (tensor, constant.constant)
        return Value("", combined(builder, "matmul", *operands))
    return Value("", ops.matmul(builder.as_file(left), builder.as_file(right)))
