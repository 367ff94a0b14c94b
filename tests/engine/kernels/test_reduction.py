"""The kernels of sums, means and of joining arrays against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.primitive import Primitive
from engine.primitives.reductions import reduce_max, reduce_mean
from engine.primitives.shaping import concatenate, reduce_sum
from tests.engine.kernels.running import check, normal, prepare, run

TRAILING: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((300, 333), (1,)),
    ((17, 4001), (1,)),
    ((33, 47, 61), (1, 2)),
]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("shape", "axes"), TRAILING, ids=str)
@pytest.mark.parametrize("target", [reduce_sum, reduce_mean], ids=lambda target: target.name)
def test_reductions_over_trailing_axes_equal_the_reference(
    target: Primitive, shape: Any, axes: Any, keepdims: bool
) -> None:
    check(target, [normal(*shape)], axes=axes, keepdims=keepdims)


@pytest.mark.parametrize(
    ("shape", "axes"), [((8, 7, 7, 200), (1, 2)), ((1, 33, 2000), (1,)), ((2, 4, 12, 12, 130), (1, 2, 3))], ids=str
)
def test_means_over_space_equal_the_reference(shape: Any, axes: Any) -> None:
    check(reduce_mean, [normal(*shape) + 3], axes=axes)


def test_long_sums_of_equal_numbers_keep_their_digits_and_nan_stays_visible() -> None:
    x = np.full((20, 4096), 0.1, np.float32)
    (total,) = run(reduce_sum, [x], axes=(1,))
    assert total is not None
    np.testing.assert_allclose(total, 409.6, rtol=1e-5)
    x[2, 5] = np.nan
    (mean,) = run(reduce_mean, [x], axes=(1,))
    assert mean is not None
    assert np.flatnonzero(np.isnan(mean)).tolist() == [2]


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((8, 8), (1,)),
        ((400, 400), (0,)),
        ((40, 40, 40, 2), (0, 2)),
        ((400, 400), ()),
        ((2, 5000, 10), (1,)),
        ((20, 5000), (1,)),
    ],
    ids=["small", "leading", "apart", "none", "long space", "long rows"],
)
def test_what_numpy_does_as_well_is_left_to_it(shape: Any, axes: Any) -> None:
    assert prepare(reduce_mean, [normal(*shape)], axes=axes) is None


def test_what_loses_nan_is_left_to_numpy() -> None:
    assert prepare(reduce_max, [normal(400, 400)], axes=(1,)) is None


@pytest.mark.parametrize("channels", [(64, 32), (7, 13, 1), (33,) * 20], ids=["two", "odd channels", "twenty"])
def test_joined_channels_equal_the_reference(channels: tuple[int, ...]) -> None:
    arrays = [normal(3, 60, 60, count, seed=index) for index, count in enumerate(channels)]
    if max(array.size for array in arrays) < 1 << 16:
        arrays = [normal(9, 60, 60, count, seed=index) for index, count in enumerate(channels)]
    check(concatenate, arrays, tolerance=0, axis=3)


def test_other_axes_types_and_small_arrays_are_joined_by_numpy() -> None:
    large = normal(300, 300)
    assert prepare(concatenate, [large, large], axis=0) is None
    assert prepare(concatenate, [large.astype(np.float64)] * 2, axis=1) is None
    assert prepare(concatenate, [normal(8, 8)] * 2, axis=1) is None
