"""Layer normalisation against its formula, and its gradients."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from engine.primitives.layer_normalization import layer_normalization, layer_normalization_gradient
from engine.primitives.primitive import Spec
from tests.engine.gradient_check import check_gradients

EPSILON = 1e-3
OPTIONS = {"epsilon": EPSILON}
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}
SHAPES = [(6, 3), (2, 3, 4), (5,)]


def draw(*shape: int, seed: int = 2) -> Any:
    return np.random.default_rng([seed, *shape]).normal(3.0, 2.0, size=shape)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", SHAPES)
def test_each_row_is_normalised(shape: Any, dtype: str) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    x = draw(*shape).astype(kind)
    parameter = np.float64 if dtype == "float64" else np.float32
    gamma, beta = draw(shape[-1]).astype(parameter), draw(shape[-1], seed=3).astype(parameter)
    arrays = layer_normalization.evaluate([x, gamma, beta], OPTIONS)
    specs = layer_normalization.infer([Spec(a.shape, a.dtype) for a in (x, gamma, beta)], OPTIONS)
    assert [(a.shape, a.dtype) for a in arrays] == [(s.shape, s.dtype) for s in specs]
    exact = x.astype(float)
    mean, variance = exact.mean(axis=-1), exact.var(axis=-1)
    expected = (exact - mean[..., None]) / np.sqrt(variance[..., None] + EPSILON) * gamma + beta
    for received, wanted in zip(arrays, (expected, mean, variance), strict=True):
        np.testing.assert_allclose(received.astype(float), wanted, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


def test_the_variance_of_numbers_far_from_zero_keeps_its_digits() -> None:
    x = (draw(4, 100) + 1e4).astype(np.float32)
    ones = np.ones(100, np.float32)
    variance = layer_normalization.evaluate([x, ones, ones], OPTIONS)[2]
    np.testing.assert_allclose(variance, x.astype(np.float64).var(axis=-1), rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_exact_in_first_and_second_order(shape: Any) -> None:
    channels = shape[-1]
    check_gradients(
        lambda *values: layer_normalization(*values, **OPTIONS),
        *(draw(*shape), draw(channels), draw(channels, seed=3)),
        order=2,
    )


def test_gradients_keep_the_dtypes_of_half_inputs_and_their_parameters() -> None:
    x, gamma = draw(4, 5).astype(np.float16), np.ones(5, np.float32)
    _, mean, variance = layer_normalization.evaluate([x, gamma, gamma], OPTIONS)
    found = layer_normalization_gradient.evaluate([x, x, mean, variance, gamma], OPTIONS)
    assert [array.dtype for array in found] == [np.float16, np.float32, np.float32]


def test_what_does_not_fit_is_refused_by_name() -> None:
    def spec(*shape: int) -> Spec:
        return Spec(shape, np.dtype("float32"))

    with pytest.raises(ValueError, match=r"gamma of shape \(4,\). Received: \(3,\)"):
        layer_normalization.infer([spec(2, 4), spec(3), spec(4)], OPTIONS)
    with pytest.raises(ValueError, match=r"last axis with entries. Received: shape \(2, 0\)"):
        layer_normalization.infer([spec(2, 0), spec(0), spec(0)], OPTIONS)
    with pytest.raises(ValueError, match=r"a variance of \(2,\). Received: \(3,\)"):
        layer_normalization_gradient.infer([spec(2, 4), spec(2, 4), spec(2), spec(3), spec(4)], OPTIONS)
