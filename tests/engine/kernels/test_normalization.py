"""The kernels of batch normalisation against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.normalization import (
    batch_normalization,
    batch_normalization_gradient,
    batch_normalization_training,
)
from tests.engine.kernels.running import check, normal, prepare, run

SHAPES = [(64, 10, 10, 32), (128, 200), (16, 30, 30, 7), (1, 600, 16), (4, 6, 7, 8, 9)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_normalization_equals_the_reference(shape: tuple[int, ...]) -> None:
    channels = shape[-1]
    x, dy = normal(*shape) * 3 + 5, normal(*shape, seed=1)
    gamma, beta, mean = normal(channels, seed=2), normal(channels, seed=3), normal(channels, seed=4)
    variance = np.abs(normal(channels, seed=5)) + 0.1
    check(batch_normalization, [x, mean, variance, gamma, beta], epsilon=1e-3)
    check(batch_normalization_training, [x, gamma, beta], epsilon=1e-3)
    for wanted in ([True, True, True], [False, True, True], [True, False, False]):
        arrays = [dy, x, x.mean(tuple(range(len(shape) - 1))), variance, gamma]
        check(batch_normalization_gradient, arrays, wanted=wanted, epsilon=1e-3)


def test_statistics_of_many_values_far_from_zero_stay_precise() -> None:
    x = normal(64, 30, 30, 16) + 30
    _, mean, variance = run(batch_normalization_training, [x, normal(16), normal(16)], epsilon=1e-3)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(variance, exact.var((0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_and_foreign_arrays_are_left_to_numpy(dtype: Any) -> None:
    shape = (4, 8) if dtype is np.float32 else (512, 512)
    x, parameter = np.ones(shape, dtype), np.ones(shape[-1], dtype)
    assert prepare(batch_normalization_training, [x, parameter, parameter], epsilon=1e-3) is None
