"""Batch normalisation over the last axis: with given statistics, with those of the batch, and its gradient.

x is (…, channels); the statistics, gamma and beta are (channels,). Half types compute in float32, and their
statistics are float32. The variance is biased and taken in two passes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.primitives.casting import cast
from engine.primitives.decomposition import differentiate
from engine.primitives.elementwise import add, divide, multiply, negative, sqrt, subtract
from engine.primitives.primitive import Array, Spec, primitive
from engine.primitives.reductions import reduce_mean
from engine.primitives.shaping import reduce_sum
from engine.primitives.sums import accumulation_dtype, column_sums
from engine.tensor import is_zero


def _rows(x: Array) -> Array:
    """(…, channels) as a matrix, half types in float32."""
    return x.reshape(-1, x.shape[-1]).astype(accumulation_dtype(x.dtype), copy=False)


def _inverse_deviation(variance: Array, epsilon: float, dtype: np.dtype[Any]) -> Array:
    return 1 / np.sqrt(variance.astype(dtype, copy=False) + dtype.type(epsilon))


# Rules ---------------------------------------------------------------------------------------------------------------


def _check(x: Spec, **parameters: Spec) -> None:
    if len(x.shape) < 2:
        raise ValueError(f"Batch normalisation expects an input of at least two axes. Received: shape {x.shape}")
    for name, spec in parameters.items():
        if spec.shape != x.shape[-1:]:
            raise ValueError(
                f"Batch normalisation of an input of shape {x.shape} expects {name} of shape {x.shape[-1:]}. "
                f"Received: {spec.shape}"
            )


def _inference_rule(x: Spec, mean: Spec, variance: Spec, gamma: Spec, beta: Spec, epsilon: float) -> Spec:
    _check(x, mean=mean, variance=variance, gamma=gamma, beta=beta)
    return Spec(x.shape, x.dtype)


def _training_rule(x: Spec, gamma: Spec, beta: Spec, epsilon: float) -> tuple[Spec, Spec, Spec]:
    _check(x, gamma=gamma, beta=beta)
    statistics = Spec(x.shape[-1:], accumulation_dtype(x.dtype))
    return Spec(x.shape, x.dtype), statistics, statistics


def _gradient_rule(dy: Spec, x: Spec, mean: Spec, variance: Spec, gamma: Spec, epsilon: float) -> tuple[Spec, ...]:
    _check(x, mean=mean, variance=variance, gamma=gamma)
    if dy.shape != x.shape:
        raise ValueError(
            f"Batch normalisation's gradient expects an output gradient of {x.shape}. Received: {dy.shape}"
        )
    parameter = Spec(gamma.shape, gamma.dtype)
    return Spec(x.shape, x.dtype), parameter, parameter


# Inference -----------------------------------------------------------------------------------------------------------


def _normalise(x: Array, mean: Array, scale: Array, beta: Array, out: Array) -> None:
    np.subtract(x, mean, out=out)
    np.multiply(out, scale, out=out)
    np.add(out, beta, out=out)


def _inference_into(inputs: Any, outputs: Any, epsilon: float) -> None:
    x, mean, variance, gamma, beta = inputs
    wide = accumulation_dtype(x.dtype)
    mean, gamma, beta = (array.astype(wide, copy=False) for array in (mean, gamma, beta))
    scale = gamma * _inverse_deviation(variance, epsilon, wide)
    if wide == x.dtype:
        _normalise(x, mean, scale, beta, outputs[0])
    else:
        buffer = x.astype(wide)
        _normalise(buffer, mean, scale, beta, buffer)
        outputs[0][...] = buffer


@primitive(_inference_rule, into=_inference_into, inplace=((0, 0),))
def batch_normalization(x: Array, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """gamma · (x - mean) / sqrt(variance + epsilon) + beta, with given statistics."""
    y = np.empty(x.shape, x.dtype)
    _inference_into((x, mean, variance, gamma, beta), (y,), epsilon)
    return y


def _inference_formula(epsilon: float, dtype: np.dtype[Any]) -> Any:
    wide = accumulation_dtype(dtype).name

    def formula(x: Any, mean: Any, variance: Any, gamma: Any, beta: Any) -> Any:
        x, mean, variance, gamma, beta = (_as(value, wide) for value in (x, mean, variance, gamma, beta))
        scale = divide(gamma, sqrt(add(variance, epsilon)))
        return _as(add(multiply(subtract(x, mean), scale), beta), dtype.name)

    return formula


@batch_normalization.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, epsilon: float) -> Any:
    return differentiate(_inference_formula(epsilon, inputs[0].dtype), needed, gradients, inputs)


# Training ------------------------------------------------------------------------------------------------------------


@primitive(_training_rule, outputs=3)
def batch_normalization_training(x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """The input normalised by its own statistics: (y, mean, biased variance)."""
    rows = _rows(x)
    mean = column_sums(rows) / rows.dtype.type(len(rows))
    y = rows - mean
    variance = column_sums(y * y) / rows.dtype.type(len(rows))
    y *= gamma.astype(y.dtype, copy=False) * _inverse_deviation(variance, epsilon, y.dtype)
    y += beta.astype(y.dtype, copy=False)
    return y.reshape(x.shape).astype(x.dtype, copy=False), mean, variance


@primitive(_gradient_rule, outputs=3)
def batch_normalization_gradient(
    dy: Array, x: Array, mean: Array, variance: Array, gamma: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """The gradients of `batch_normalization_training`'s y with respect to (x, gamma, beta)."""
    rows, incoming = _rows(x), _rows(dy)
    inverse = _inverse_deviation(variance, epsilon, rows.dtype)
    normal = (rows - mean) * inverse
    by_gamma, by_beta = column_sums(incoming * normal), column_sums(incoming)
    count = rows.dtype.type(len(rows))
    normal *= by_gamma / count
    dx = incoming - normal
    dx -= by_beta / count
    dx *= gamma.astype(dx.dtype, copy=False) * inverse
    return (
        dx.reshape(x.shape).astype(x.dtype, copy=False),
        by_gamma.astype(gamma.dtype, copy=False),
        by_beta.astype(gamma.dtype, copy=False),
    )


def _as(value: Any, dtype: str) -> Any:
    return value if value.dtype.name == dtype else cast(value, dtype=dtype)


@batch_normalization_training.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, epsilon: float) -> Any:
    (dy, by_mean, by_variance), (x, gamma, beta), (_, mean, variance) = gradients, inputs, outputs
    dx, by_gamma, by_beta = batch_normalization_gradient(dy, x, mean, variance, gamma, epsilon=epsilon)
    # The statistics are results too, though what depends on them is mostly no part of a loss.
    count = float(x.size // x.shape[-1])
    wide = mean.dtype.name
    if not is_zero(by_mean):
        dx = add(dx, _as(divide(by_mean, count), x.dtype.name))
    if not is_zero(by_variance):
        centred = subtract(_as(x, wide), mean)
        dx = add(dx, _as(multiply(centred, multiply(by_variance, 2 / count)), x.dtype.name))
    return [dx, by_gamma, _as(by_beta, beta.dtype.name)]


def _gradient_formula(epsilon: float, x_dtype: str, wide: str, gamma_dtype: str) -> Any:
    def formula(dy: Any, x: Any, mean: Any, variance: Any, gamma: Any) -> Any:
        dy, x, mean, variance, gamma = (_as(value, wide) for value in (dy, x, mean, variance, gamma))
        axes = tuple(range(x.ndim - 1))
        deviation = sqrt(add(variance, epsilon))
        normal = divide(subtract(x, mean), deviation)
        weighted = multiply(dy, normal)
        common = add(reduce_mean(dy, axes=axes), multiply(normal, reduce_mean(weighted, axes=axes)))
        dx = multiply(add(dy, negative(common)), divide(gamma, deviation))
        by_gamma, by_beta = reduce_sum(weighted, axes=axes), reduce_sum(dy, axes=axes)
        return _as(dx, x_dtype), _as(by_gamma, gamma_dtype), _as(by_beta, gamma_dtype)

    return formula


@batch_normalization_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, epsilon: float) -> Any:
    _, x, mean, _, gamma = inputs
    formula = _gradient_formula(epsilon, x.dtype.name, mean.dtype.name, gamma.dtype.name)
    return differentiate(formula, needed, gradients, inputs)
