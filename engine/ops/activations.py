"""Activation ops (`keras.ops.relu` and its kind)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.ops.axes import many_axes, one_axis
from engine.ops.declare import operation
from engine.ops.elementwise import floating
from engine.ops.reductions import cumsum, sum
from engine.ops.searching import sort
from engine.primitives import activations as a
from engine.primitives import casting, indexing
from engine.primitives import elementwise as e
from engine.primitives.apply import as_value


def _unary(name: str, snake: str, function: Callable[[Any], Any], summary: str) -> Any:
    def run(x: Any) -> Any:
        return function(floating(x))

    run.__name__ = run.__qualname__ = snake
    run.__doc__ = summary
    return operation("nn", name)(run)


@operation("nn", "Relu")
def relu(x: Any) -> Any:
    """max(x, 0)."""
    return a.relu(x)


relu6 = _unary("Relu6", "relu6", lambda x: indexing.clip(x, minimum=0.0, maximum=6.0), "min(max(x, 0), 6).")
sigmoid = _unary("Sigmoid", "sigmoid", a.sigmoid, "1 / (1 + exp(-x)).")
softplus = _unary("Softplus", "softplus", a.softplus, "log(1 + exp(x)), without overflow.")
softsign = _unary("Softsign", "softsign", lambda x: e.divide(x, e.add(e.absolute(x), 1)), "x / (1 + |x|).")
silu = _unary("Silu", "silu", a.silu, "x · sigmoid(x), also called swish.")
swish = silu
log_sigmoid = _unary(
    "LogSigmoid", "log_sigmoid", lambda x: e.negative(a.softplus(e.negative(x))), "log(sigmoid(x)), without overflow."
)
hard_sigmoid = _unary("HardSigmoid", "hard_sigmoid", a.hard_sigmoid, "relu6(x + 3) / 6: sigmoid in straight lines.")
hard_silu = _unary("HardSilu", "hard_silu", a.hard_silu, "x · hard_sigmoid(x), also called hard swish.")
hard_swish = hard_silu
hard_tanh = _unary(
    "HardTanh", "hard_tanh", lambda x: indexing.clip(x, minimum=-1.0, maximum=1.0), "x limited to [-1, 1]."
)
tanh_shrink = _unary("TanhShrink", "tanh_shrink", lambda x: e.subtract(x, e.tanh(x)), "x - tanh(x).")
selu = _unary("Selu", "selu", a.selu, "The scaled exponential linear unit of self-normalising networks.")
sparse_plus = _unary(
    "SparsePlus",
    "sparse_plus",
    lambda x: e.where(e.less_equal(x, -1), 0, e.where(e.less(x, 1), e.multiply(e.square(e.add(x, 1)), 0.25), x)),
    "0 up to -1, x from 1 on, a parabola between.",
)
sparse_sigmoid = _unary(
    "SparseSigmoid",
    "sparse_sigmoid",
    lambda x: indexing.clip(e.multiply(e.add(x, 1.0), 0.5), minimum=0.0, maximum=1.0),
    "0 up to -1, 1 from 1 on, a line between.",
)


@operation("nn", "LeakyRelu", settings=("negative_slope",))
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x above 0, negative_slope · x below."""
    return a.leaky_relu(floating(x), negative_slope=float(negative_slope))


@operation("nn", "Elu", settings=("alpha",))
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x above 0, alpha · (exp(x) - 1) below."""
    return a.elu(floating(x), alpha=float(alpha))


@operation("nn", "Celu", settings=("alpha",))
def celu(x: Any, alpha: float = 1.0) -> Any:
    """x above 0, alpha · (exp(x / alpha) - 1) below."""
    x = floating(x)
    below = e.multiply(e.expm1(e.divide(e.minimum(x, 0), alpha)), alpha)
    return e.where(e.greater(x, 0), x, below)


@operation("nn", "Gelu", settings=("approximate",))
def gelu(x: Any, approximate: bool = True) -> Any:
    """x times the normal distribution function at x; approximated by tanh unless told otherwise."""
    return a.gelu(floating(x), approximate=bool(approximate))


@operation("nn", "Glu", settings=("axis",))
def glu(x: Any, axis: int = -1) -> Any:
    """The first half of an axis times the sigmoid of the second."""
    from engine.ops.shaping import split

    value = floating(x)
    place = one_axis(axis, value.ndim)
    if value.shape[place] % 2:
        raise ValueError(f"glu() expects an even length along axis {axis}. Received: shape {value.shape}")
    first, second = split(value, 2, place)
    return e.multiply(first, a.sigmoid(second))


@operation("nn", "HardShrink", settings=("threshold",))
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x where |x| is above the threshold, else 0."""
    x = floating(x)
    return e.where(e.greater(e.absolute(x), threshold), x, 0)


@operation("nn", "SoftShrink", settings=("threshold",))
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x moved towards 0 by the threshold, and 0 where it would cross."""
    x = floating(x)
    moved = e.subtract(e.absolute(x), threshold)
    return e.where(e.greater(moved, 0), e.multiply(e.sign(x), moved), 0)


@operation("nn", "Squareplus", settings=("b",))
def squareplus(x: Any, b: float = 4) -> Any:
    """(x + √(x² + b)) / 2."""
    x = floating(x)
    return e.multiply(e.add(x, e.sqrt(e.add(e.square(x), b))), 0.5)


@operation("nn", "Threshold", settings=("threshold", "default_value"))
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """x above the threshold, else the default value."""
    value = as_value(x)
    return e.where(e.greater(value, threshold), value, default_value)


def _over_axes(primitive: Any, x: Any, axis: Any) -> Any:
    value = floating(x)
    if axis is None or isinstance(axis, (list, tuple)):
        return primitive(value, axis=many_axes(axis, value.ndim))
    return primitive(value, axis=one_axis(axis, value.ndim))


@operation("nn", "Softmax", settings=("axis",))
def softmax(x: Any, axis: Any = -1) -> Any:
    """exp(x) divided by its sum over an axis, several, or (None) all; without overflow."""
    return _over_axes(a.softmax, x, axis)


@operation("nn", "LogSoftmax", settings=("axis",))
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """The logarithm of `softmax`, without underflow."""
    return _over_axes(a.log_softmax, x, axis)


@operation("nn", "Sparsemax", settings=("axis",))
def sparsemax(x: Any, axis: int = -1) -> Any:
    """Values lowered by a threshold and cut off at 0: few of them stay (`keras.ops.sparsemax`).

    The threshold is Keras's: as published (Martins and Astudillo, 2016) where one value stays, and higher where
    several do, so that they do not add up to 1 then.
    """
    value = floating(x)
    place = one_axis(axis, value.ndim)
    descending = e.negative(sort(e.negative(value), place))
    sums = cumsum(descending, place)
    along = tuple(-1 if index == place else 1 for index in range(value.ndim))
    counts = as_value(np.arange(1, value.shape[place] + 1, dtype=np.float32).reshape(along))
    stays = e.greater(descending, e.divide(e.subtract(sums, 1.0), counts))
    number = sum(casting.cast(stays, dtype=value.dtype.name), place, True)
    threshold = e.divide(e.subtract(sum(e.where(stays, sums, 0.0), place, True), 1.0), number)
    return a.relu(e.subtract(value, threshold))
