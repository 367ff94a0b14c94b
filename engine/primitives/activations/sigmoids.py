"""The sigmoid, what is made of it (softplus, silu), and their straight-lined forms."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.primitives.elementwise import divide, multiply, subtract
from engine.primitives.indexing import clip
from engine.primitives.pointwise import differentiated, pointwise, slope
from engine.primitives.primitive import Array

# Sigmoid -------------------------------------------------------------------------------------------------------------


def _sigmoid(x: Array, out: Array) -> None:
    np.negative(x, out=out)
    with np.errstate(over="ignore"):  # infinity gives the right 0
        np.exp(out, out=out)
    np.add(out, 1, out=out)
    np.reciprocal(out, out=out)


@pointwise
def sigmoid(x: Array, out: Array) -> None:
    """1 / (1 + exp(-x))."""
    _sigmoid(x, out)


@slope
def sigmoid_gradient(y: Array) -> Array:
    """dy · y · (1 - y), the gradient of `sigmoid` from its result."""
    return y * (1 - y)


@sigmoid.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [sigmoid_gradient(gradients[0], outputs[0])]


@sigmoid_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    (g,), (dy, y) = gradients, inputs
    return [
        sigmoid_gradient(g, y) if needed[0] else None,
        multiply(multiply(g, dy), subtract(1, multiply(y, 2))) if needed[1] else None,
    ]


@pointwise
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


@pointwise
def silu(x: Array, out: Array) -> None:
    """x · sigmoid(x), also called swish."""
    gate = np.empty_like(x)
    _sigmoid(x, gate)
    np.multiply(x, gate, out=out)


@slope
def silu_gradient(x: Array) -> Array:
    """The gradient of `silu` from its input."""
    gate = np.empty_like(x)
    _sigmoid(x, gate)
    return gate * (1 + x * (1 - gate))


differentiated(silu, silu_gradient, lambda x: multiply(x, sigmoid(x)))


# In straight lines ---------------------------------------------------------------------------------------------------


@pointwise
def hard_sigmoid(x: Array, out: Array) -> None:
    """relu6(x + 3) / 6."""
    np.add(x, 3, out=out)
    np.clip(out, 0, 6, out=out)
    np.divide(out, 6, out=out)


@slope
def hard_sigmoid_gradient(x: Array) -> Array:
    """dy / 6 between -3 and 3, else 0."""
    return (np.abs(x) < 3) * x.dtype.type(1 / 6)


def _hard_sigmoid_formula(x: Any) -> Any:
    return divide(clip(x + 3.0, minimum=0.0, maximum=6.0), 6.0)


differentiated(hard_sigmoid, hard_sigmoid_gradient, _hard_sigmoid_formula)


@pointwise
def hard_silu(x: Array, out: Array) -> None:
    """x · hard_sigmoid(x), also called hard swish."""
    gate = x + 3
    np.clip(gate, 0, 6, out=gate)
    np.divide(gate, 6, out=gate)
    np.multiply(x, gate, out=out)


@slope
def hard_silu_gradient(x: Array) -> Array:
    """dy · (2x + 3) / 6 between -3 and 3, 0 below, dy above."""
    factor = x * x.dtype.type(1 / 3) + x.dtype.type(0.5)
    np.copyto(factor, 0, where=x <= -3)
    np.copyto(factor, 1, where=x >= 3)
    return factor


differentiated(hard_silu, hard_silu_gradient, lambda x: multiply(x, _hard_sigmoid_formula(x)))
