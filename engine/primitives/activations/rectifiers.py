"""Rectifiers: functions that keep positive numbers, and flatten or bend negative ones."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from engine.primitives.elementwise import expm1, greater, minimum, multiply, where
from engine.primitives.masks import masked
from engine.primitives.pointwise import differentiated, paired_rule, pointwise, slope
from engine.primitives.primitive import Array, primitive, same_rule

# The fixed point of self-normalising networks (Klambauer et al., 2017).
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805

# relu ----------------------------------------------------------------------------------------------------------------


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


def _relu_gradient_into(inputs: Any, outputs: Any) -> None:
    masked(inputs[0], inputs[1] > 0, out=outputs[0])


@primitive(paired_rule("relu_gradient"), into=_relu_gradient_into, inplace=((0, 0), (0, 1)))
def relu_gradient(dy: Array, y: Array) -> Array:
    """`dy` where relu's result `y` is positive, else 0."""
    return masked(dy, y > 0)


@relu.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [relu_gradient(gradients[0], outputs[0])]


@relu_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [relu_gradient(gradients[0], inputs[1]) if needed[0] else None, None]


# leaky relu ----------------------------------------------------------------------------------------------------------


@pointwise
def leaky_relu(x: Array, out: Array, negative_slope: float) -> None:
    """x above 0, negative_slope · x below."""
    below = np.minimum(x, 0)
    below *= negative_slope
    np.maximum(x, 0, out=out)
    out += below


@slope
def leaky_relu_gradient(x: Array, negative_slope: float) -> Array:
    """dy where `x` is positive, else negative_slope · dy."""
    return np.where(x > 0, x.dtype.type(1), x.dtype.type(negative_slope))


differentiated(
    leaky_relu,
    leaky_relu_gradient,
    lambda x, negative_slope: where(greater(x, 0), x, multiply(x, negative_slope)),
)


# Exponential below 0 -------------------------------------------------------------------------------------------------


def _bend(x: Array, out: Array, alpha: float) -> None:
    below = np.minimum(x, 0)  # the exponential never sees positive numbers
    np.expm1(below, out=below)
    below *= alpha
    np.maximum(x, 0, out=out)
    out += below


def _bend_slope(x: Array, alpha: float) -> Array:
    below = np.minimum(x, 0)
    np.exp(below, out=below)
    below *= alpha
    np.copyto(below, 1, where=x > 0)
    return below


def _bend_formula(x: Any, alpha: float) -> Any:
    return where(greater(x, 0), x, multiply(expm1(minimum(x, 0)), alpha))


@pointwise
def elu(x: Array, out: Array, alpha: float = 1.0) -> None:
    """x above 0, alpha · (exp(x) - 1) below."""
    _bend(x, out, alpha)


@slope
def elu_gradient(x: Array, alpha: float = 1.0) -> Array:
    """dy where `x` is positive, else alpha · exp(x) · dy."""
    return _bend_slope(x, alpha)


differentiated(elu, elu_gradient, _bend_formula)


@pointwise
def selu(x: Array, out: Array) -> None:
    """`elu` scaled so that mean 0 and variance 1 are kept through layers."""
    _bend(x, out, SELU_ALPHA)
    out *= SELU_SCALE


@slope
def selu_gradient(x: Array) -> Array:
    """The gradient of `selu` from its input."""
    factor = _bend_slope(x, SELU_ALPHA)
    factor *= SELU_SCALE
    return factor


differentiated(selu, selu_gradient, lambda x: multiply(_bend_formula(x, SELU_ALPHA), SELU_SCALE))
