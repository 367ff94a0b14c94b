"""Softmax and its logarithm over one axis or several."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from engine.primitives.decomposition import differentiate
from engine.primitives.elementwise import exp, multiply, subtract
from engine.primitives.pointwise import paired_rule, pointwise
from engine.primitives.primitive import Array, Primitive, primitive
from engine.primitives.shaping import reduce_sum
from engine.primitives.sums import accumulation_dtype

Axis = int | tuple[int, ...]


def _axes(axis: Axis, rank: int) -> tuple[int, ...]:
    return tuple(item % rank for item in (axis if isinstance(axis, tuple) else (axis,)))


@pointwise
def softmax(x: Array, out: Array, axis: Axis = -1) -> None:
    """exp(x) / sum(exp(x)) over one axis or several, shifted by the maximum."""
    np.subtract(x, x.max(axis=axis, keepdims=True), out=out)
    np.exp(out, out=out)
    np.divide(out, out.sum(axis=axis, keepdims=True), out=out)


def _gradient(formula: Callable[..., Any], compute: Callable[..., Array]) -> Primitive:
    """A primitive of (dy, y) from `compute`, whose own gradients go through `formula`."""

    def reference(dy: Array, y: Array, axis: Axis = -1) -> Array:
        wide = accumulation_dtype(y.dtype)
        return compute(dy.astype(wide, copy=False), y.astype(wide, copy=False), axis).astype(dy.dtype, copy=False)

    reference.__name__ = compute.__name__
    reference.__doc__ = compute.__doc__
    declared = primitive(paired_rule(compute.__name__))(reference)

    @declared.gradient
    def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axis: Axis = -1) -> Any:
        axes = _axes(axis, inputs[1].ndim)
        return differentiate(lambda dy, y: formula(dy, y, axes), needed, gradients, inputs)

    return declared


def _softmax_formula(dy: Any, y: Any, axes: tuple[int, ...]) -> Any:
    return multiply(y, subtract(dy, reduce_sum(multiply(dy, y), axes=axes, keepdims=True)))


@partial(_gradient, _softmax_formula)
def softmax_gradient(dy: Array, y: Array, axis: Axis) -> Array:
    """The gradient of `softmax` from its result y."""
    weighted = dy * y
    weighted -= y * weighted.sum(axis=axis, keepdims=True)
    return weighted


@softmax.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axis: Axis = -1) -> Any:
    return [softmax_gradient(gradients[0], outputs[0], axis=axis)]


@pointwise
def log_softmax(x: Array, out: Array, axis: Axis = -1) -> None:
    """The logarithm of `softmax`, by log-sum-exp."""
    np.subtract(x, x.max(axis=axis, keepdims=True), out=out)
    np.subtract(out, np.log(np.exp(out).sum(axis=axis, keepdims=True)), out=out)


def _log_softmax_formula(dy: Any, y: Any, axes: tuple[int, ...]) -> Any:
    return subtract(dy, multiply(exp(y), reduce_sum(dy, axes=axes, keepdims=True)))


@partial(_gradient, _log_softmax_formula)
def log_softmax_gradient(dy: Array, y: Array, axis: Axis) -> Array:
    """The gradient of `log_softmax` from its result y."""
    share = np.exp(y)
    share *= dy.sum(axis=axis, keepdims=True)
    return np.subtract(dy, share, out=share)


@log_softmax.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axis: Axis = -1) -> Any:
    return [log_softmax_gradient(gradients[0], outputs[0], axis=axis)]
