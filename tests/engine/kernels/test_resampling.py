"""The resampling kernels against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.resampling import resampling, resampling_gradient
from tests.engine.kernels.running import check, normal, prepare

SIZES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((8, 12, 10, 32), (24, 20)),
    ((1, 13, 13, 17), (7, 31)),
    ((2, 40, 40, 3), (97, 53)),
    ((2, 33, 40), (66,)),
    ((2, 7, 5, 6, 16), (14, 10, 3)),
]


@pytest.mark.parametrize(("shape", "spatial"), SIZES, ids=str)
def test_resampling_equals_the_reference(shape: Any, spatial: Any) -> None:
    x = normal(*shape)
    check(resampling, [x], tolerance=0, spatial=spatial, method="nearest")
    check(resampling, [x], tolerance=1e-5, spatial=spatial, method="linear")
    dy = normal(shape[0], *spatial, shape[-1])
    options = {"spatial": shape[1:-1], "method": "nearest"}
    if shape[-1] >= 16:
        check(resampling_gradient, [dy], **options)
    else:
        assert prepare(resampling_gradient, [dy], **options) is None


def test_what_numpy_does_as_well_is_left_to_it() -> None:
    large, small = normal(8, 12, 10, 32), normal(1, 4, 4, 3)
    assert prepare(resampling_gradient, [large], spatial=(6, 5), method="linear") is None
    assert prepare(resampling, [small], spatial=(8, 8), method="linear") is None
    assert prepare(resampling, [large.astype(np.float64)], spatial=(24, 20), method="linear") is None
