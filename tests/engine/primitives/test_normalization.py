"""Batch normalisation against its formula, and its gradients."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from engine.primitives.normalization import (
    batch_normalization,
    batch_normalization_gradient,
    batch_normalization_training,
)
from engine.primitives.primitive import Spec
from engine.tape import Tape
from engine.tensor import Tensor
from tests.engine.gradient_check import check_gradients

EPSILON = 1e-3
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}
SHAPES = [(6, 3), (2, 3, 4, 5), (4, 3, 2)]


def parameters(channels: int) -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(4)
    return (
        rng.normal(size=channels),
        rng.uniform(0.5, 2, size=channels),
        rng.normal(1, 0.3, size=channels),
        rng.normal(size=channels),
    )


def draw(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(2).normal(3.0, 2.0, size=shape)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", SHAPES)
def test_given_statistics_normalise(shape: Any, dtype: str) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    x = draw(shape).astype(kind)
    mean, variance, gamma, beta = parameters(shape[-1])
    y = batch_normalization.evaluate([x, mean, variance, gamma, beta], {"epsilon": EPSILON})[0]
    expected = (x.astype(float) - mean) / np.sqrt(variance + EPSILON) * gamma + beta
    assert y.dtype == kind
    np.testing.assert_allclose(y.astype(float), expected, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_statistics_normalise(shape: Any, dtype: str) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    x = draw(shape).astype(kind)
    *_, gamma, beta = parameters(shape[-1])
    inputs = [x, gamma.astype(np.float32), beta.astype(np.float32)]
    arrays = batch_normalization_training.evaluate(inputs, {"epsilon": EPSILON})
    specs = batch_normalization_training.infer([Spec(a.shape, a.dtype) for a in inputs], {"epsilon": EPSILON})
    assert [(array.shape, array.dtype) for array in arrays] == [(spec.shape, spec.dtype) for spec in specs]
    axes = tuple(range(len(shape) - 1))
    exact = x.astype(float)
    mean, variance = exact.mean(axis=axes), exact.var(axis=axes)
    tight = max(TOLERANCES[dtype], 1e-7) if dtype == "float64" else 1e-5
    np.testing.assert_allclose(arrays[1], mean, rtol=tight)
    np.testing.assert_allclose(arrays[2], variance, rtol=tight)
    expected = (exact - mean) / np.sqrt(variance + EPSILON) * gamma + beta
    loose = max(TOLERANCES[dtype], 1e-6)  # the parameters are float32
    np.testing.assert_allclose(arrays[0].astype(float), expected, rtol=loose, atol=loose)


def test_a_large_mean_does_not_spoil_the_variance() -> None:
    x = (1000 + np.random.default_rng(0).normal(size=(100_000, 2))).astype(np.float32)
    ones = np.ones(2, np.float32)
    _, mean, variance = batch_normalization_training.evaluate([x, ones, ones], {"epsilon": EPSILON})
    np.testing.assert_allclose(mean, x.astype(float).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, x.astype(float).var(axis=0), rtol=1e-4)


@pytest.mark.parametrize("shape", [(5, 3), (2, 2, 3, 2)])
def test_gradients_with_given_statistics_are_exact(shape: Any) -> None:
    check_gradients(
        lambda *values: batch_normalization(*values, epsilon=EPSILON), draw(shape), *parameters(shape[-1]), order=2
    )


@pytest.mark.parametrize("shape", [(5, 3), (2, 2, 3, 2)])
def test_gradients_through_batch_statistics_are_exact(shape: Any) -> None:
    *_, gamma, beta = parameters(shape[-1])
    # All three outputs: the mean and variance too may be part of a loss.
    check_gradients(
        lambda *values: batch_normalization_training(*values, epsilon=EPSILON), draw(shape), gamma, beta, order=2
    )
    check_gradients(
        lambda *values: batch_normalization_training(*values, epsilon=EPSILON)[0], draw(shape), gamma, beta, order=2
    )


def test_the_gradient_primitive_has_gradients_for_all_its_inputs() -> None:
    x, dy = draw((4, 2)), np.random.default_rng(8).normal(size=(4, 2))
    mean, variance, gamma, _ = parameters(2)
    check_gradients(
        lambda *values: batch_normalization_gradient(*values, epsilon=EPSILON), dy, x, mean, variance, gamma
    )


def test_parameters_of_another_width_get_gradients_of_their_own() -> None:
    x = Tensor(draw((4, 2)).astype(np.float16))
    gamma, beta = Tensor(np.ones(2, np.float32)), Tensor(np.zeros(2, np.float32))
    with Tape() as tape:
        for value in (x, gamma, beta):
            tape.watch(value)
        y = batch_normalization_training(x, gamma, beta, epsilon=EPSILON)[0]
    assert [item.dtype.name for item in tape.gradient(y, [x, gamma, beta])] == ["float16", "float32", "float32"]


def test_parameters_that_do_not_fit_are_refused_by_name() -> None:
    wide = np.dtype("float32")
    with pytest.raises(ValueError, match=r"gamma of shape \(3,\).*Received: \(4,\)"):
        batch_normalization_training.infer(
            [Spec((2, 3), wide), Spec((4,), wide), Spec((3,), wide)], {"epsilon": EPSILON}
        )
