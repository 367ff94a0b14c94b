"""Elementwise primitives: arithmetic, comparison, exponentials, selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.dtypes import as_dtype, is_float
from engine.primitives.apply import as_value, promoted
from engine.primitives.casting import cast
from engine.primitives.pointwise import slope
from engine.primitives.primitive import (
    Array,
    Primitive,
    Spec,
    broadcast_rule,
    broadcast_shapes,
    predicate_rule,
    primitive,
    same_rule,
)
from engine.primitives.shaping import unbroadcast


def _binary(ufunc: np.ufunc, name: str | None = None) -> Primitive:
    def reference(a: Array, b: Array) -> Array:
        return ufunc(a, b)

    reference.__name__ = name or ufunc.__name__
    return primitive(broadcast_rule, promote=True, ufunc=ufunc)(reference)


def _unary(ufunc: np.ufunc, name: str | None = None) -> Primitive:
    def reference(x: Array) -> Array:
        return ufunc(x)

    reference.__name__ = name or ufunc.__name__
    return primitive(same_rule, ufunc=ufunc)(reference)


def _comparison(ufunc: np.ufunc) -> Primitive:
    def reference(*arrays: Array) -> Array:
        return ufunc(*arrays)

    reference.__name__ = ufunc.__name__
    comparison = primitive(predicate_rule, promote=True, ufunc=ufunc, differentiable=False)(reference)
    comparison.inplace = ()  # the result is bool, its inputs are not
    return comparison


# Arithmetic --------------------------------------------------------------------------------------------------------

add = _binary(np.add)
subtract = _binary(np.subtract)
multiply = _binary(np.multiply)
maximum = _binary(np.maximum)
minimum = _binary(np.minimum)
power = _binary(np.power)


@add.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    (g,) = gradients
    return [unbroadcast(g, x.shape) if wanted else None for wanted, x in zip(needed, inputs, strict=True)]


@subtract.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    (g,), (a, b) = gradients, inputs
    return [
        unbroadcast(g, a.shape) if needed[0] else None,
        unbroadcast(negative(g), b.shape) if needed[1] else None,
    ]


@multiply.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    (g,), (a, b) = gradients, inputs
    return [
        unbroadcast(multiply(g, b), a.shape) if needed[0] else None,
        unbroadcast(multiply(g, a), b.shape) if needed[1] else None,
    ]


def _divide_rule(a: Spec, b: Spec) -> Spec:
    dtype = a.dtype if is_float(a.dtype) else as_dtype(None)
    return Spec(broadcast_shapes(a.shape, b.shape), dtype)


def _divide_into(inputs: Any, outputs: Any) -> None:
    np.divide(inputs[0], inputs[1], out=outputs[0], casting="unsafe")


@primitive(_divide_rule, promote=True, into=_divide_into, inplace=((0, 0), (0, 1)))
def divide(a: Array, b: Array) -> Array:
    """True division; integers give the default float type."""
    return np.divide(a, b) if is_float(a.dtype) else np.divide(a, b).astype(as_dtype(None))


@divide.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    (g,), (a, b), (quotient,) = gradients, inputs, outputs
    by_b = divide(g, b)
    return [
        unbroadcast(by_b, a.shape) if needed[0] else None,
        unbroadcast(negative(multiply(by_b, quotient)), b.shape) if needed[1] else None,
    ]


floor_divide = _binary(np.floor_divide)
floor_divide.differentiable = False
mod = _binary(np.mod)


@mod.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    (g,), (a, b) = gradients, inputs
    return [
        unbroadcast(g, a.shape) if needed[0] else None,
        unbroadcast(negative(multiply(g, floor(divide(a, b)))), b.shape) if needed[1] else None,
    ]


def _extremum_gradient(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    # Where both are equal each gets half, as in JAX (Keras's reference backend for gradients).
    (g,), (a, b), (y,) = gradients, inputs, outputs
    at_a, at_b = cast(equal(a, y), dtype=g.dtype.name), cast(equal(b, y), dtype=g.dtype.name)
    share = divide(g, add(at_a, at_b))
    return [
        unbroadcast(multiply(share, at_a), a.shape) if needed[0] else None,
        unbroadcast(multiply(share, at_b), b.shape) if needed[1] else None,
    ]


maximum.gradient(_extremum_gradient)
minimum.gradient(_extremum_gradient)


@power.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    (g,), (a, b), (y,) = gradients, inputs, outputs
    by_a = by_b = None
    if needed[0]:
        lowered = where(equal(b, 0), 1, subtract(b, 1))  # the gradient of a ** 0 is 0 at a = 0 too
        by_a = unbroadcast(multiply(g, multiply(b, power(a, lowered))), a.shape)
    if needed[1]:
        positive = greater(a, 0)
        logarithm = where(positive, log(where(positive, a, 1)), 0)
        by_b = unbroadcast(multiply(g, multiply(y, logarithm)), b.shape)
    return [by_a, by_b]


# Functions of one value ----------------------------------------------------------------------------------------------

negative = _unary(np.negative)
absolute = _unary(np.absolute)
sign = _unary(np.sign)
exp = _unary(np.exp)
expm1 = _unary(np.expm1)
log = _unary(np.log)
log1p = _unary(np.log1p)
sqrt = _unary(np.sqrt)
square = _unary(np.square)
sin = _unary(np.sin)
cos = _unary(np.cos)
tanh = _unary(np.tanh)
floor = _unary(np.floor)
ceil = _unary(np.ceil)
rint = _unary(np.rint, "round")
for _flat in (sign, floor, ceil, rint):
    _flat.differentiable = False


def _chain(target: Primitive, factor: Callable[[Any, Any], Any]) -> None:
    """The gradient of a function of one value: the incoming gradient times `factor(input, output)`."""

    @target.gradient
    def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
        return [multiply(gradients[0], factor(inputs[0], outputs[0]))]


@negative.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [negative(gradients[0])]


@log.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [divide(gradients[0], inputs[0])]


@sqrt.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [divide(gradients[0], multiply(outputs[0], 2))]


@log1p.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [divide(gradients[0], add(inputs[0], 1))]


_chain(absolute, lambda x, y: sign(x))
_chain(exp, lambda x, y: y)
_chain(expm1, lambda x, y: add(y, 1))
_chain(square, lambda x, y: multiply(x, 2))
_chain(sin, lambda x, y: cos(x))
_chain(cos, lambda x, y: negative(sin(x)))


@slope
def tanh_gradient(y: Array) -> Array:
    """dy · (1 - y²), the gradient of `tanh` from its result."""
    return 1 - y * y


@tanh.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [tanh_gradient(gradients[0], outputs[0])]


@tanh_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    (g,), (dy, y) = gradients, inputs
    return [
        tanh_gradient(g, y) if needed[0] else None,
        multiply(multiply(g, dy), multiply(y, -2)) if needed[1] else None,
    ]


# Comparison and logic ------------------------------------------------------------------------------------------------

equal = _comparison(np.equal)
not_equal = _comparison(np.not_equal)
greater = _comparison(np.greater)
greater_equal = _comparison(np.greater_equal)
less = _comparison(np.less)
less_equal = _comparison(np.less_equal)
logical_and = _comparison(np.logical_and)
logical_or = _comparison(np.logical_or)
logical_not = _comparison(np.logical_not)
isfinite = _comparison(np.isfinite)
isnan = _comparison(np.isnan)


# Selection -----------------------------------------------------------------------------------------------------------


def _select_rule(condition: Spec, a: Spec, b: Spec) -> Spec:
    return Spec(broadcast_shapes(condition.shape, a.shape, b.shape), a.dtype)


def _select_into(inputs: Any, outputs: Any) -> None:
    condition, a, b = inputs
    if outputs[0] is not b:
        np.copyto(outputs[0], b)
    np.copyto(outputs[0], a, where=condition)


@primitive(_select_rule, into=_select_into)
def select(condition: Array, a: Array, b: Array) -> Array:
    """`a` where the bool condition holds, else `b`, both of one dtype; use `where` for promotion."""
    return np.where(condition, a, b)


@select.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    (g,), (condition, a, b) = gradients, inputs
    return [
        None,
        unbroadcast(where(condition, g, 0), a.shape) if needed[1] else None,
        unbroadcast(where(condition, 0, g), b.shape) if needed[2] else None,
    ]


def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`, brought to their common dtype."""
    condition = as_value(condition)
    if condition.dtype != np.bool_:
        condition = not_equal(condition, 0)
    return select(condition, *promoted((a, b)))
