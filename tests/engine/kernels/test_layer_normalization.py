"""The kernels of layer normalisation against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.layer_normalization import layer_normalization, layer_normalization_gradient
from tests.engine.kernels.running import check, normal, prepare, run

SHAPES = [(64, 10, 32), (1, 4999), (3000, 7), (4, 6, 7, 30), (5000, 1)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layer_normalization_and_its_gradients_equal_the_reference(shape: tuple[int, ...]) -> None:
    channels = shape[-1]
    x, dy = normal(*shape) * 3 + 5, normal(*shape, seed=1)
    gamma, beta = normal(channels, seed=2), normal(channels, seed=3)
    for wanted in ([True, True, True], [True, False, False]):
        check(layer_normalization, [x, gamma, beta], wanted=wanted, epsilon=1e-3)
    _, mean, variance = layer_normalization.evaluate([x, gamma, beta], {"epsilon": 1e-3})
    for wanted in ([True, True, True], [False, True, True], [True, False, False]):
        check(layer_normalization_gradient, [dy, x, mean, variance, gamma], wanted=wanted, epsilon=1e-3)


def test_nan_spreads_over_its_row_alone() -> None:
    x = normal(64, 100)
    x[3, 4] = np.nan
    y = run(layer_normalization, [x, normal(100), normal(100)], epsilon=1e-3)[0]
    assert y is not None
    assert np.isnan(y[3]).all()
    assert not np.isnan(np.delete(y, 3, axis=0)).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_and_foreign_arrays_are_left_to_numpy(dtype: Any) -> None:
    shape = (4, 8) if dtype is np.float32 else (512, 512)
    x, parameter = np.ones(shape, dtype), np.ones(shape[-1], dtype)
    assert prepare(layer_normalization, [x, parameter, parameter], epsilon=1e-3) is None
