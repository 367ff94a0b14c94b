"""Layer normalisation: each row along the last axis brought to mean beta and standard deviation gamma.

x is (…, channels), gamma and beta are (channels,), the statistics have the shape of x without its last axis. Half
types compute in float32, and their statistics are float32. The variance is biased and taken in two passes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.primitives.casting import cast
from engine.primitives.decomposition import differentiate
from engine.primitives.elementwise import add, divide, multiply, sqrt, square, subtract
from engine.primitives.primitive import Array, Spec, primitive
from engine.primitives.reductions import reduce_mean
from engine.primitives.shaping import reduce_sum
from engine.primitives.sums import accumulation_dtype, column_sums


def _check(x: Spec, **parameters: Spec) -> None:
    if not x.shape or not x.shape[-1]:
        raise ValueError(f"Layer normalisation expects a last axis with entries. Received: shape {x.shape}")
    for name, spec in parameters.items():
        if spec.shape != x.shape[-1:]:
            raise ValueError(
                f"Layer normalisation of an input of shape {x.shape} expects {name} of shape {x.shape[-1:]}. "
                f"Received: {spec.shape}"
            )


def _rule(x: Spec, gamma: Spec, beta: Spec, epsilon: float) -> tuple[Spec, Spec, Spec]:
    _check(x, gamma=gamma, beta=beta)
    statistics = Spec(x.shape[:-1], accumulation_dtype(x.dtype))
    return Spec(x.shape, x.dtype), statistics, statistics


def _gradient_rule(dy: Spec, x: Spec, mean: Spec, variance: Spec, gamma: Spec, epsilon: float) -> tuple[Spec, ...]:
    _check(x, gamma=gamma)
    for name, spec, expected in (
        ("an output gradient", dy, x.shape),
        ("a mean", mean, x.shape[:-1]),
        ("a variance", variance, x.shape[:-1]),
    ):
        if spec.shape != expected:
            raise ValueError(f"Layer normalisation's gradient expects {name} of {expected}. Received: {spec.shape}")
    parameter = Spec(gamma.shape, gamma.dtype)
    return Spec(x.shape, x.dtype), parameter, parameter


@primitive(_rule, residuals=2)
def layer_normalization(x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """gamma · (x - mean) / sqrt(variance + epsilon) + beta, with the statistics of each row; also these two."""
    wide = accumulation_dtype(x.dtype)
    values = x.astype(wide, copy=False)
    mean = values.mean(axis=-1)
    y = values - mean[..., None]
    variance = np.square(y).mean(axis=-1)
    y /= np.sqrt(variance + wide.type(epsilon))[..., None]
    y *= gamma.astype(wide, copy=False)
    y += beta.astype(wide, copy=False)
    return y.astype(x.dtype, copy=False), np.asarray(mean), np.asarray(variance)


@primitive(_gradient_rule, outputs=3)
def layer_normalization_gradient(
    dy: Array, x: Array, mean: Array, variance: Array, gamma: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """The gradients of `layer_normalization` with respect to (x, gamma, beta)."""
    wide = accumulation_dtype(x.dtype)
    incoming = dy.astype(wide, copy=False)
    deviation = np.sqrt(variance + wide.type(epsilon))[..., None]
    normal = (x.astype(wide, copy=False) - mean[..., None]) / deviation
    channels = x.shape[-1]
    by_gamma = column_sums((incoming * normal).reshape(-1, channels))
    by_beta = column_sums(np.ascontiguousarray(incoming).reshape(-1, channels))
    dx = incoming * gamma.astype(wide, copy=False)
    normal *= (dx * normal).mean(axis=-1, keepdims=True)
    normal += dx.mean(axis=-1, keepdims=True)
    dx -= normal
    dx /= deviation
    return (
        dx.astype(x.dtype, copy=False),
        by_gamma.astype(gamma.dtype, copy=False),
        by_beta.astype(gamma.dtype, copy=False),
    )


def _as(value: Any, dtype: str) -> Any:
    return value if value.dtype.name == dtype else cast(value, dtype=dtype)


@layer_normalization.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, epsilon: float) -> Any:
    (dy,), (x, gamma, beta), (mean, variance) = gradients, inputs, residuals
    dx, by_gamma, by_beta = layer_normalization_gradient(dy, x, mean, variance, gamma, epsilon=epsilon)
    return [dx, by_gamma, _as(by_beta, beta.dtype.name)]


def _gradient_formula(epsilon: float, x_dtype: str, wide: str, gamma_dtype: str) -> Any:
    def formula(dy: Any, x: Any, gamma: Any) -> Any:
        dy, x, gamma = (_as(value, wide) for value in (dy, x, gamma))
        last, leading = (x.ndim - 1,), tuple(range(x.ndim - 1))
        centred = subtract(x, reduce_mean(x, axes=last, keepdims=True))
        deviation = sqrt(add(reduce_mean(square(centred), axes=last, keepdims=True), epsilon))
        normal = divide(centred, deviation)
        scaled = multiply(dy, gamma)
        weight = reduce_mean(multiply(scaled, normal), axes=last, keepdims=True)
        common = add(reduce_mean(scaled, axes=last, keepdims=True), multiply(normal, weight))
        dx = divide(subtract(scaled, common), deviation)
        by_gamma, by_beta = reduce_sum(multiply(dy, normal), axes=leading), reduce_sum(dy, axes=leading)
        return _as(dx, x_dtype), _as(by_gamma, gamma_dtype), _as(by_beta, gamma_dtype)

    return formula


@layer_normalization_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, epsilon: float) -> Any:
    dy, x, mean, _, gamma = inputs
    formula = _gradient_formula(epsilon, x.dtype.name, mean.dtype.name, gamma.dtype.name)
    # The statistics are no inputs of their own here: the formula takes them from x.
    found = differentiate(formula, [needed[0], needed[1], needed[4]], gradients, [dy, x, gamma])
    return [found[0], found[1], None, None, found[2]]
