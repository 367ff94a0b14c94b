"""ONNX Runtime's own quantised operators (domain "com.microsoft"), which its quantiser writes beside ONNX's.

Each is an operator of floats between roundings; see `quantization`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.onnx.reading.activation import softmax
from engine.onnx.reading.arithmetic import pairwise
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.linear import gemm
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import find_rule, operator
from engine.onnx.reading.pooling import global_pooling
from engine.onnx.reading.quantization import dequantize, quantize, scales
from engine.onnx.reading.value import Value

DOMAIN = "com.microsoft"


def _floats(builder: Builder, node: Node, first: int) -> Value:
    """The floats of a quantised input, whose scale and zero point follow it."""
    return dequantize(builder, node[first], *scales(node, first + 1, first + 2), 1)


@operator("QLinearAdd", "QLinearMul", domain=DOMAIN)
def quantized_pair(builder: Builder, node: Node) -> Value:
    """The sum or product of two quantised tensors."""
    function = "add" if node.operator == "QLinearAdd" else "multiply"
    result = pairwise(builder, function, _floats(builder, node, 0), _floats(builder, node, 3))
    return quantize(builder, result, *scales(node, 6, 7), 1)


@operator("QLinearSigmoid", "QLinearLeakyRelu", domain=DOMAIN)
def quantized_activation(builder: Builder, node: Node) -> Value:
    """An activation of a quantised tensor."""
    rule = find_rule("", node.operator.removeprefix("QLinear"))
    assert rule is not None
    result: Any = rule(builder, node.with_inputs([_floats(builder, node, 0)]))
    return quantize(builder, result, *scales(node, 3, 4), 1)


@operator("QLinearGlobalAveragePool", domain=DOMAIN)
def quantized_global_pooling(builder: Builder, node: Node) -> Value:
    """The mean over all positions of a quantised tensor."""
    if node.get("channels_last", 0):
        node.refuse("channels_last pooling is not supported")
    floats = _floats(builder, node, 0)
    return quantize(builder, global_pooling(builder, node.with_inputs([floats])), *scales(node, 3, 4), 1)


@operator("QLinearSoftmax", domain=DOMAIN)
def quantized_softmax(builder: Builder, node: Node) -> Value:
    """Softmax of a quantised tensor."""
    inner = node.with_inputs([_floats(builder, node, 0)])
    inner.version = node.get("opset", 13)
    return quantize(builder, softmax(builder, inner), *scales(node, 3, 4), 1)


@operator("QLinearConcat", domain=DOMAIN)
def quantized_concat(builder: Builder, node: Node) -> Value:
    """Quantised tensors joined."""
    rule = find_rule("", "Concat")
    assert rule is not None
    parts: Sequence[Value] = [_floats(builder, node, first) for first in range(2, len(node), 3)]
    result: Any = rule(builder, node.with_inputs(parts))
    return quantize(builder, result, *scales(node, 0, 1), 1)


@operator("QGemm", domain=DOMAIN)
def quantized_gemm(builder: Builder, node: Node) -> Value:
    """Gemm of quantised matrices; without a scale of its result, floats."""
    weight_axis = 0 if node.get("transB", 0) else 1
    weight_scale, weight_zero = scales(node, 4, 5)
    weights = dequantize(builder, node[3], weight_scale, weight_zero, weight_axis)
    inputs: list[Value | None] = [_floats(builder, node, 0), weights]
    if node.optional(6) is not None:
        step = scales(node, 1, 2)[0].reshape(-1) * weight_scale.reshape(-1) * np.float32(node.get("alpha", 1.0))
        inputs.append(Value("", constant=node.constant(6, "C").astype(np.float32) * step))
    result = gemm(builder, node.with_inputs(inputs))
    return result if node.optional(7) is None else quantize(builder, result, *scales(node, 7, 8), 1)
