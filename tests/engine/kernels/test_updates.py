"""Optimizer steps on oneDNN: equal to the reference, in place or not, in chunks or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.kernels.onednn import updates
from engine.primitives.primitive import Array
from engine.primitives.update import adam_update, momentum_update, sgd_update
from engine.threads import thread_count
from engine.variable import aligned_empty
from tests.engine.kernels.running import check, normal, prepare

MOMENTS = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7}
UPDATES: list[tuple[Any, int, dict[str, Any]]] = [
    (sgd_update, 0, {}),
    (momentum_update, 1, {"momentum": 0.9}),
    (momentum_update, 1, {"momentum": 0.9, "nesterov": True}),
    (adam_update, 2, MOMENTS),
]
CHUNK = updates._CHUNK * thread_count()
SHAPES = [(97, 101), (CHUNK,), (2, CHUNK), (3, CHUNK // 2 + 5)]


def _arrays(shape: tuple[int, ...], slots: int) -> list[Array]:
    arrays = [normal(*shape, seed=seed) for seed in range(slots + 2)]
    if slots:
        arrays[slots] = np.abs(arrays[slots])  # averages of squares are never negative
    return [*arrays, np.asarray(0.01, np.float32)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("primitive", "slots", "options"), UPDATES)
def test_updates_equal_the_reference(
    primitive: Any, slots: int, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    check(primitive, _arrays(shape, slots), tolerance=1e-6, **options)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("primitive", "slots", "options"), UPDATES)
def test_results_take_the_place_of_their_inputs(
    primitive: Any, slots: int, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    arrays = _arrays(shape, slots)
    expected = primitive.evaluate(arrays, options)
    executable = prepare(primitive, arrays, **options)
    assert executable is not None
    assert executable.inplace == primitive.inplace
    scratch = aligned_empty((executable.scratch_bytes,), np.dtype(np.uint8))
    executable.bind(arrays, arrays[: slots + 1], scratch)()
    for result, value in zip(arrays, expected, strict=False):
        np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-6)


def test_a_variable_that_never_had_a_gradient_stays_where_it_is() -> None:
    shape = (updates._SMALLEST,)
    zeros = [np.zeros(shape, np.float32) for _ in range(3)]
    arrays = [normal(*shape), *zeros, np.asarray(0.1, np.float32)]
    executable = prepare(adam_update, arrays, **MOMENTS)
    assert executable is not None
    before = arrays[0].copy()
    executable.bind(arrays, arrays[:3], aligned_empty((executable.scratch_bytes,), np.dtype(np.uint8)))()
    np.testing.assert_array_equal(arrays[0], before)


def test_small_and_half_precision_variables_are_left_to_the_reference() -> None:
    small = _arrays((updates._SMALLEST - 1,), 2)
    assert prepare(adam_update, small, **MOMENTS) is None
    halves = [array.astype(np.float16) for array in _arrays((updates._SMALLEST,), 2)]
    assert prepare(adam_update, halves, **MOMENTS) is None
