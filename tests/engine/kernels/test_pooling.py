"""The pooling kernels against the reference, and both mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.pooling import (
    average_pooling,
    average_pooling_gradient,
    max_pooling,
    max_pooling_gradient,
)
from tests.engine.kernels.cases import POOLINGS
from tests.engine.kernels.running import check, normal, run

cases = pytest.mark.parametrize("case", list(POOLINGS.values()), ids=list(POOLINGS))


def _with_ties(shape: tuple[int, ...]) -> Any:
    return np.round(normal(*shape), 1)


@cases
def test_maximum_and_its_indices_equal_the_reference_with_ties(case: Any) -> None:
    x, options = case
    check(max_pooling, [_with_ties(x)], tolerance=0, **options)
    check(max_pooling, [_with_ties(x)], tolerance=0, wanted=[True, False], **options)


@cases
def test_kernel_and_reference_can_be_mixed(case: Any) -> None:
    shape, options = case
    image = _with_ties(shape)
    _, kernel_indices = run(max_pooling, [image], **options)
    _, reference_indices = max_pooling.evaluate([image], options)
    assert kernel_indices is not None
    dy = normal(*kernel_indices.shape, seed=1)
    expected = max_pooling_gradient.evaluate([dy, reference_indices], {"shape": shape, **options})[0]
    mixed = max_pooling_gradient.evaluate([dy, kernel_indices], {"shape": shape, **options})[0]
    np.testing.assert_array_equal(mixed, expected)
    check(max_pooling_gradient, [dy, reference_indices], shape=shape, **options)


@cases
def test_average_and_its_gradient_equal_the_reference(case: Any) -> None:
    shape, options = case
    image = normal(*shape)
    check(average_pooling, [image], **options)
    dy = normal(*average_pooling.evaluate([image], options)[0].shape, seed=1)
    check(average_pooling_gradient, [dy], shape=shape, **options)
