"""The fused updates: formulae, chunks, writing in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives import update
from engine.primitives.primitive import Spec

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


MOMENTS = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7}
SQUARES = {"rho": 0.9, "epsilon": 1e-7, "momentum": 0.5}
UPDATES: list[tuple[Any, int, int, dict[str, Any]]] = [
    (update.sgd_update, 0, 1, {}),
    (update.momentum_update, 1, 1, {"momentum": 0.9, "nesterov": True}),
    (update.lion_update, 1, 1, {"beta_1": 0.9, "beta_2": 0.99}),
    (update.adam_update, 2, 1, MOMENTS),
    (update.amsgrad_update, 3, 1, MOMENTS),
    (update.nadam_update, 2, 3, MOMENTS),
    (update.adamax_update, 2, 1, MOMENTS),
    *((update.rmsprop_update(m, c), 1 + m + c, 1, SQUARES) for m in (False, True) for c in (False, True)),
    (update.adagrad_update, 1, 1, {"epsilon": 1e-7}),
    (update.adadelta_update, 2, 1, {"rho": 0.9, "epsilon": 1e-7}),
    (update.ftrl_update, 2, 1, {"power": 0.5, "l1": 0.1, "l2": 0.1, "shrinkage": 0.1, "beta": 0.1}),
]


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(
    ("primitive", "slots", "scalars", "options"), UPDATES, ids=lambda item: getattr(item, "name", "")
)
def test_results_may_take_the_place_of_their_inputs(
    primitive: Any, slots: int, scalars: int, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    arrays = [*_arrays(shape, slots + 2), *(np.asarray(0.1 * (k + 1), np.float32) for k in range(scalars))]
    with np.errstate(invalid="ignore"):  # a centered average of squares may fall below none here
        expected = primitive.evaluate(arrays, options)
        assert primitive.inplace == tuple((index, index) for index in range(slots + 1))
        primitive.into(arrays, arrays[: slots + 1], **options)
    for result, value in zip(arrays[: slots + 1], expected, strict=True):
        np.testing.assert_array_equal(result, value)


def test_no_two_updates_share_a_name() -> None:
    assert len({primitive.name for primitive, *_ in UPDATES}) == len(UPDATES)


def test_arrays_of_different_shapes_are_refused() -> None:
    specs = [Spec(shape, np.dtype("float32")) for shape in ((2,), (3,), ())]
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        update.sgd_update.infer(specs, {})


def test_a_missing_scalar_is_named() -> None:
    specs = [Spec((2,), np.dtype("float32"))] * 2
    with pytest.raises(ValueError, match="1 scalars"):
        update.sgd_update.infer(specs, {})
