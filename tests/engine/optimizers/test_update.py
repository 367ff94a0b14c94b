"""The fused updates: formulae, chunks, writing in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives import update

SIZES = [(3, 5), (update.CHUNK + 7,), (2, update.CHUNK), (0,)]


def _arrays(shape: tuple[int, ...], count: int, dtype: str = "float32") -> list[Any]:
    rng = np.random.default_rng(0)
    return [np.abs(rng.standard_normal(shape)).astype(dtype) for _ in range(count)]


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_is_the_paper_s_step(shape: tuple[int, ...], dtype: str) -> None:
    p, m, v, g = _arrays(shape, 4, dtype)
    rate = np.asarray(0.01, dtype)
    results = update.adam_update(p, m, v, g, rate, beta_1=0.9, beta_2=0.99, epsilon=1e-7)
    next_m, next_v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
    expected = (p - 0.01 * next_m / (np.sqrt(next_v) + 1e-7), next_m, next_v)
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("shape", SIZES)
def test_momentum_is_added_to_the_step(shape: tuple[int, ...], nesterov: bool) -> None:
    p, v, g = _arrays(shape, 3)
    updated, moved = update.momentum_update(p, v, g, np.float32(0.1), momentum=0.9, nesterov=nesterov)
    velocity = 0.9 * v - 0.1 * g
    np.testing.assert_allclose(moved, velocity, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(updated, p + (0.9 * velocity - 0.1 * g if nesterov else velocity), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", SIZES)
def test_results_may_take_the_place_of_their_inputs(shape: tuple[int, ...]) -> None:
    for primitive, count, options in (
        (update.sgd_update, 1, {}),
        (update.momentum_update, 2, {"momentum": 0.9, "nesterov": True}),
        (update.adam_update, 3, {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7}),
    ):
        arrays = [*_arrays(shape, count + 1), np.asarray(0.1, np.float32)]
        expected = primitive.evaluate(arrays, options)
        assert primitive.inplace == tuple((index, index) for index in range(count))
        primitive.into(arrays, arrays[:count], **options)
        for result, value in zip(arrays[:count], expected, strict=True):
            np.testing.assert_array_equal(result, value)


def test_arrays_of_different_shapes_are_refused() -> None:
    specs = [update.Spec(shape, np.dtype("float32")) for shape in ((2,), (3,), ())]
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        update.sgd_update.infer(specs, {})
