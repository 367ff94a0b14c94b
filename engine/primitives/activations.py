"""Activations with a stable form of their own; the others are composed in `engine.ops`.

All compute in float32 for half types.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import erf as exact_erf
from math import pi, sqrt
from typing import Any

import numpy as np

from engine.primitives.elementwise import exp, multiply, negative, square, subtract
from engine.primitives.masks import masked
from engine.primitives.primitive import Array, Primitive, Spec, primitive, same_rule
from engine.primitives.shaping import reduce_sum
from engine.primitives.sums import accumulation_dtype

Axis = int | tuple[int, ...]


def _activation(compute: Callable[..., None]) -> Primitive:
    """A primitive of one input from `compute(x, out, **options)`, where `out` may be `x` itself."""

    def into(inputs: Any, outputs: Any, **options: Any) -> None:
        x, y = inputs[0], outputs[0]
        wide = accumulation_dtype(x.dtype)
        if wide == x.dtype:
            compute(x, y, **options)
        else:
            x = x.astype(wide)
            compute(x, x, **options)
            y[...] = x

    def reference(x: Array, **options: Any) -> Array:
        y = np.empty(x.shape, x.dtype)
        into((x,), (y,), **options)
        return y

    reference.__name__ = compute.__name__
    reference.__doc__ = compute.__doc__
    return primitive(same_rule, into=into, inplace=((0, 0),))(reference)


# Rectified linear ----------------------------------------------------------------------------------------------------


_BLOCK = 4096  # entries


@lru_cache(maxsize=8)
def _zeros(dtype: np.dtype[Any]) -> Array:
    return np.zeros(_BLOCK, dtype)


def _relu_into(inputs: Any, outputs: Any) -> None:
    x, y = inputs[0], outputs[0]
    if x.size < _BLOCK or not (x.flags.c_contiguous and y.flags.c_contiguous):
        np.maximum(x, 0, out=y)
        return
    # Against a block of zeros NumPy's maximum is vectorised, three times as fast as against one zero.
    whole = x.size // _BLOCK * _BLOCK
    x, y = x.reshape(-1), y.reshape(-1)
    np.maximum(x[:whole].reshape(-1, _BLOCK), _zeros(x.dtype), out=y[:whole].reshape(-1, _BLOCK))
    np.maximum(x[whole:], 0, out=y[whole:])


@primitive(same_rule, into=_relu_into, inplace=((0, 0),))
def relu(x: Array) -> Array:
    """max(x, 0); NaN stays."""
    y = np.empty(x.shape, x.dtype)
    _relu_into((x,), (y,))
    return y


def _relu_gradient_rule(dy: Spec, y: Spec) -> Spec:
    if dy.shape != y.shape:
        raise ValueError(f"relu's gradient expects two arrays of one shape. Received: {dy.shape} and {y.shape}")
    return Spec(dy.shape, dy.dtype)


def _relu_gradient_into(inputs: Any, outputs: Any) -> None:
    masked(inputs[0], inputs[1] > 0, out=outputs[0])


@primitive(_relu_gradient_rule, into=_relu_gradient_into, inplace=((0, 0), (0, 1)))
def relu_gradient(dy: Array, y: Array) -> Array:
    """`dy` where relu's result `y` is positive, else 0."""
    return masked(dy, y > 0)


@relu.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [relu_gradient(gradients[0], outputs[0])]


@relu_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [relu_gradient(gradients[0], inputs[1]) if needed[0] else None, None]


# Sigmoid and its integral --------------------------------------------------------------------------------------------


@_activation
def sigmoid(x: Array, out: Array) -> None:
    """1 / (1 + exp(-x))."""
    np.negative(x, out=out)
    with np.errstate(over="ignore"):  # infinity gives the right 0
        np.exp(out, out=out)
    np.add(out, 1, out=out)
    np.reciprocal(out, out=out)


@sigmoid.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    (y,) = outputs
    return [multiply(gradients[0], multiply(y, subtract(1, y)))]


@_activation
def softplus(x: Array, out: Array) -> None:
    """log(1 + exp(x)), without overflow."""
    tail = np.abs(x)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    np.log1p(tail, out=tail)
    np.maximum(x, 0, out=out)
    np.add(out, tail, out=out)


@softplus.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [multiply(gradients[0], sigmoid(inputs[0]))]


# Softmax -------------------------------------------------------------------------------------------------------------


def _axes(axis: Axis, rank: int) -> tuple[int, ...]:
    return tuple(item % rank for item in (axis if isinstance(axis, tuple) else (axis,)))


@_activation
def softmax(x: Array, out: Array, axis: Axis = -1) -> None:
    """exp(x) / sum(exp(x)) over one axis or several, shifted by the maximum."""
    np.subtract(x, x.max(axis=axis, keepdims=True), out=out)
    np.exp(out, out=out)
    np.divide(out, out.sum(axis=axis, keepdims=True), out=out)


@softmax.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axis: Axis = -1) -> Any:
    (g,), (y,) = gradients, outputs
    inner = reduce_sum(multiply(g, y), axes=_axes(axis, y.ndim), keepdims=True)
    return [multiply(y, subtract(g, inner))]


@_activation
def log_softmax(x: Array, out: Array, axis: Axis = -1) -> None:
    """The logarithm of `softmax`, by log-sum-exp."""
    np.subtract(x, x.max(axis=axis, keepdims=True), out=out)
    np.subtract(out, np.log(np.exp(out).sum(axis=axis, keepdims=True)), out=out)


@log_softmax.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axis: Axis = -1) -> Any:
    (g,), (y,) = gradients, outputs
    total = reduce_sum(g, axes=_axes(axis, y.ndim), keepdims=True)
    return [subtract(g, multiply(exp(y), total))]


# Error function ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _erf_series(reach: float, degree: int) -> tuple[float, ...]:
    """Chebyshev coefficients of erf(x) / x as a function of x² on [0, reach²]."""

    nodes = np.polynomial.chebyshev.chebpts1(degree + 1)
    roots = np.sqrt((nodes + 1) / 2) * reach
    ratios = [exact_erf(root) / root for root in roots]
    return tuple(np.polynomial.chebyshev.chebfit(nodes, ratios, degree).tolist())


@_activation
def erf(x: Array, out: Array) -> None:
    """The error function, within 3e-7 in float32 and 2e-14 in float64."""
    reach, degree = (4.0, 22) if x.dtype == np.float32 else (6.0, 48)
    first, *others = _erf_series(reach, degree)
    x = np.clip(x, -reach, reach)
    place = x * x * (2 / reach**2) - 1
    # Clenshaw's recurrence.
    doubled = place * 2
    newer, older = np.zeros_like(x), np.zeros_like(x)
    for coefficient in reversed(others):
        newer, older = doubled * newer - older + coefficient, newer
    np.multiply(place * newer - older + first, x, out=out)


@erf.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [multiply(gradients[0], multiply(exp(negative(square(inputs[0]))), 2 / sqrt(pi)))]
