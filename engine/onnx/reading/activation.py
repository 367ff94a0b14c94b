"""Activations, and the operators that change nothing when a model runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from engine import layers, ops
from engine.onnx.reading.arithmetic import aligned, combined, pairwise
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


@operator("Identity")
def identity(builder: Builder, node: Node) -> Value:
    """ONNX's Identity: the same value."""
    value = node[0]
    return Value(value.name, None if value.is_constant else value.tensor, value.order, value.constant, value.columns)


@operator("Dropout")
def dropout(builder: Builder, node: Node) -> tuple[Value, ...]:
    """ONNX's Dropout: in inference the same value, but a network that is trained on drops."""
    value = node[0]
    if node.optional(2) is not None and bool(node.constant(2, "training_mode").all()):
        node.refuse("a dropout that drops in inference, too, is not supported")
    ratio = node.get("ratio", 0.5)
    if node.version >= 12:
        ratio = float(node.constant(1, "ratio")) if node.optional(1) is not None else 0.5
    mask = ops.ones_like(value.tensor, dtype="bool") if len(node.outputs) > 1 and node.outputs[1] else None
    layer = layers.Dropout(min(ratio, 0.999), name=builder.name(), dtype=policy(value.dtype))
    result = builder.unary(value, layer)
    return (result,) if mask is None else (result, Value("", mask, value.order))


def _layer(make: Callable[..., Any]) -> Callable[[Builder, Node], Value]:
    """A rule for an activation that is a layer; `make` gets the node, and the layer's name and dtype."""

    def rule(builder: Builder, node: Node) -> Value:
        value = node[0]
        return builder.unary(value, make(node, name=builder.name(), dtype=policy(value.dtype)))

    return rule


def _activation(name: str) -> Callable[[Builder, Node], Value]:
    return _layer(lambda node, **options: layers.Activation(name, **options))


for _operator, _name in {
    "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign", "Mish": "mish",
    "HardSwish": "hard_silu", "Exp": "exponential",
}.items():  # fmt: skip
    operator(_operator)(_activation(_name))

# Those that patterns write.
operator("Silu", domain="beagle")(_activation("silu"))
operator("HardSilu", domain="beagle")(_activation("hard_silu"))
operator("ExactGelu", domain="beagle")(_activation("gelu"))

operator("Relu")(_layer(lambda node, **options: layers.ReLU(**options)))
operator("Elu")(_layer(lambda node, **options: layers.ELU(node.get("alpha", 1.0), **options)))


@operator("LeakyRelu")
def leaky_relu(builder: Builder, node: Node) -> Value:
    """ONNX's LeakyRelu, whose slope may be negative."""
    value, alpha = node[0], node.get("alpha", 0.01)
    if alpha < 0:
        return builder.unary(value, lambda tensor: ops.leaky_relu(tensor, alpha))
    return builder.unary(value, layers.LeakyReLU(alpha, name=builder.name(), dtype=policy(value.dtype)))


def _function(make: Callable[[Node], Callable[[Any], Any]]) -> Callable[[Builder, Node], Value]:
    """A rule for an activation that is an op; `make` gets the node and returns a function of a tensor."""

    def rule(builder: Builder, node: Node) -> Value:
        return builder.unary(node[0], make(node))

    return rule


@operator("Selu")
@_function
def selu(node: Node) -> Callable[[Any], Any]:
    """ONNX's Selu: gamma · (x above 0, alpha · (exp(x) - 1) below)."""
    alpha, gamma = node.get("alpha", 1.67326319217681884765625), node.get("gamma", 1.05070102214813232421875)
    if abs(alpha - 1.6732632) < 1e-6 and abs(gamma - 1.050701) < 1e-6:
        return ops.selu
    return lambda tensor: ops.multiply(ops.elu(tensor, alpha), gamma)


@operator("Celu")
@_function
def celu(node: Node) -> Callable[[Any], Any]:
    """ONNX's Celu."""
    alpha = node.get("alpha", 1.0)
    return lambda tensor: ops.celu(tensor, alpha)


@operator("Gelu")
@_function
def gelu(node: Node) -> Callable[[Any], Any]:
    """ONNX's Gelu, exact or by tanh."""
    kind = node.get("approximate", "none")
    if kind not in ("none", "tanh"):
        raise ValueError(f"its approximation {kind!r} is unknown")
    return lambda tensor: ops.gelu(tensor, kind == "tanh")


@operator("HardSigmoid")
@_function
def hard_sigmoid(node: Node) -> Callable[[Any], Any]:
    """ONNX's HardSigmoid: alpha · x + beta within 0..1."""
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-7 and beta == 0.5:
        return ops.hard_sigmoid
    return lambda tensor: ops.clip(ops.add(ops.multiply(tensor, alpha), beta), 0.0, 1.0)


@operator("ThresholdedRelu")
@_function
def thresholded_relu(node: Node) -> Callable[[Any], Any]:
    """ONNX's ThresholdedRelu: x above alpha, 0 up to it."""
    alpha = node.get("alpha", 1.0)
    return lambda tensor: ops.threshold(tensor, alpha, 0.0)


@operator("Shrink")
@_function
def shrink(node: Node) -> Callable[[Any], Any]:
    """ONNX's Shrink: x + bias below -lambd, x - bias above lambd, 0 between."""
    bias, lambd = node.get("bias", 0.0), node.get("lambd", 0.5)
    if bias == 0.0:
        return lambda tensor: ops.hard_shrink(tensor, lambd)
    if bias == lambd:
        return lambda tensor: ops.soft_shrink(tensor, lambd)
    return node.refuse(f"bias {bias} with lambd {lambd} is not supported: expected 0, or the same")


@operator("Swish")
@_function
def swish(node: Node) -> Callable[[Any], Any]:
    """ONNX's Swish: x · sigmoid(alpha · x)."""
    alpha = node.get("alpha", 1.0)
    if alpha == 1.0:
        return ops.silu
    return lambda tensor: ops.multiply(tensor, ops.sigmoid(ops.multiply(tensor, alpha)))


@operator("PRelu")
def prelu(builder: Builder, node: Node) -> Value:
    """ONNX's PRelu: x from 0 on, slope · x below, where the slopes broadcast against x."""
    value, slope = node[0], node[1]
    if slope.constant is None:
        product = pairwise(builder, "multiply", value, slope)
        operands, order, columns = aligned(builder, [value, product])
        tensor = ops.where(ops.less(operands[0], 0.0), operands[1], operands[0])
        return Value("", tensor, order, columns=columns)
    (tensor, slopes), order, columns = aligned(builder, [value, slope])
    shape = (1,) * (value.rank - slopes.ndim) + slopes.shape
    if columns is None and value.rank > 1 and shape[0] == 1 and not value.is_constant:
        shared = [axis for axis in range(1, value.rank) if shape[axis] == 1]
        lengths = zip(shape[1:], tensor.shape[1:], strict=True)
        if all(length in (1, ours) for length, ours in lengths):
            layer = layers.PReLU(shared_axes=shared or None, name=builder.name(), dtype=policy(value.dtype))
            return Value("", builder.layer(layer, tensor, weights=[slopes.reshape(shape[1:])]), order)
    return Value("", combined(builder, "prelu", tensor, np.atleast_1d(slopes)), order, columns=columns)


@operator("Softmax", "LogSoftmax")
def softmax(builder: Builder, node: Node) -> Value:
    """ONNX's Softmax: along one axis from version 13 on; before, over all axes from one on together."""
    value = node[0]
    function = ops.log_softmax if node.operator == "LogSoftmax" else ops.softmax
    axis = value.positive(node.get("axis", -1 if node.version >= 13 else 1))
    builder.keeps_examples_apart(value, [axis] if node.version >= 13 else range(axis, value.rank))
    lengths = value.static_shape[axis:]
    if node.version >= 13 or value.rank - axis == 1 or all(length == 1 for length in lengths[1:]):
        value = builder.with_file_columns(value)
        if node.operator != "LogSoftmax":
            layer = layers.Softmax(axis=value.axis(axis), name=builder.name(), dtype=policy(value.dtype))
            return builder.unary(value, layer)
        return builder.unary(value, lambda tensor: function(tensor, axis=value.axis(axis)))
    tensor = builder.as_file(value)
    shape = builder.shape(value)
    flat = builder.reshaped(tensor, (*shape[:axis], math.prod(shape[axis:])))
    return Value("", builder.reshaped(function(flat, axis=-1), shape))
