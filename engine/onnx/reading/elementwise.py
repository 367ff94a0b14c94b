"""Functions of one value: mathematics, rounding, limits, conversion. They keep the order of axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from engine import layers, ops
from engine.onnx.file import dtype_of
from engine.onnx.reading.arithmetic import together
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


def _function(function: Callable[[Any], Any]) -> Callable[[Builder, Node], Value]:
    def rule(builder: Builder, node: Node) -> Value:
        return builder.unary(node[0], function)

    return rule


for _operator, _op in {
    "Abs": ops.absolute, "Neg": ops.negative, "Sqrt": ops.sqrt, "Reciprocal": ops.reciprocal, "Log": ops.log,
    "Floor": ops.floor, "Ceil": ops.ceil, "Round": ops.round, "Sign": ops.sign, "Erf": ops.erf, "Sin": ops.sin,
    "Cos": ops.cos, "Tan": ops.tan, "Asin": ops.arcsin, "Acos": ops.arccos, "Atan": ops.arctan, "Sinh": ops.sinh,
    "Cosh": ops.cosh, "Asinh": ops.arcsinh, "Acosh": ops.arccosh, "Atanh": ops.arctanh, "IsNaN": ops.isnan,
    "Not": ops.logical_not, "BitwiseNot": ops.bitwise_not,
}.items():  # fmt: skip
    operator(_operator)(_function(_op))


@operator("IsInf")
def is_infinite(builder: Builder, node: Node) -> Value:
    """ONNX's IsInf: of either sign, or of one alone."""
    signs = [sign for sign, name in ((-1, "detect_negative"), (1, "detect_positive")) if node.get(name, 1)]

    def function(tensor: Any) -> Any:
        if len(signs) == 2:
            return ops.isinf(tensor)
        return ops.equal(tensor, math.inf * signs[0]) if signs else ops.zeros_like(tensor, dtype="bool")

    return builder.unary(node[0], function)


# Limits --------------------------------------------------------------------------------------------------------------


@operator("Clip")
def clip(builder: Builder, node: Node) -> Value:
    """ONNX's Clip: limits are attributes up to version 10, inputs after it."""
    value = node[0]
    low, high = node.optional(1), node.optional(2)
    if node.version < 11:
        limits = (node.get("min", -math.inf), node.get("max", math.inf))
        low, high = (Value("limit", constant=np.asarray(limit, value.dtype)) for limit in limits)
    if any(limit is not None and limit.constant is None for limit in (low, high)):
        return _clip_by_running(builder, value, low, high)
    minimum, maximum = (limit if limit is None else limit.constant.item() for limit in (low, high))  # type: ignore[union-attr]
    if value.dtype.kind in "iu":
        range_of = np.iinfo(value.dtype)
        minimum, maximum = range_of.min if minimum is None else minimum, range_of.max if maximum is None else maximum
        return builder.unary(value, lambda tensor: ops.clip(tensor, minimum, maximum))
    minimum = -math.inf if minimum is None else float(minimum)
    maximum = math.inf if maximum is None else float(maximum)
    if minimum == 0 and maximum > 0:
        top = None if maximum == math.inf else maximum
        return builder.unary(value, layers.ReLU(max_value=top, name=builder.name(), dtype=policy(value.dtype)))
    if minimum == -math.inf:
        return builder.unary(value, lambda tensor: ops.minimum(tensor, maximum))
    if maximum == math.inf:
        return builder.unary(value, lambda tensor: ops.maximum(tensor, minimum))
    return builder.unary(value, lambda tensor: ops.clip(tensor, minimum, maximum))


def _clip_by_running(builder: Builder, value: Value, low: Value | None, high: Value | None) -> Value:
    for limit, function in ((low, ops.maximum), (high, ops.minimum)):
        if limit is not None:
            operands, order, columns = together(builder, [value, limit])
            value = Value("", function(*operands), order, columns=columns)
    return value


# Conversion ----------------------------------------------------------------------------------------------------------


def _converted(builder: Builder, value: Value, dtype: np.dtype[Any]) -> Value:
    wanted = builder.widened_dtype(dtype)
    return builder.unary(value, lambda tensor: ops.cast(tensor, wanted.name))


@operator("Cast")
def cast(builder: Builder, node: Node) -> Value:
    """ONNX's Cast; `saturate` and `round_mode` concern types of eight bits and fewer, which are refused."""
    return _converted(builder, node[0], dtype_of(node.get("to", 0), node.label))


@operator("CastLike")
def cast_like(builder: Builder, node: Node) -> Value:
    """ONNX's CastLike: to the dtype of another value."""
    return _converted(builder, node[0], node[1].dtype)
