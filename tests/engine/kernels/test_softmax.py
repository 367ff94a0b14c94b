"""The kernels of softmax and its gradients against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.kernels.onednn.handles import library
from engine.primitives.activations import log_softmax, log_softmax_gradient, softmax, softmax_gradient
from tests.engine.kernels.running import check, normal, prepare, run

_AVX512 = 0x27  # dnnl_cpu_isa_t

shapes = pytest.mark.parametrize("shape", [(128, 10), (1, 2001), (33, 1000), (2, 3, 17, 65)], ids=str)


@shapes
def test_softmax_equals_the_reference_and_sums_to_one(shape: Any) -> None:
    x = normal(*shape) * 5
    x.flat[0] = 100
    check(softmax, [x], tolerance=1e-6)
    (y,) = run(softmax, [x], axis=len(shape) - 1)
    assert y is not None
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-5)


@shapes
def test_gradients_equal_the_reference(shape: Any) -> None:
    x, dy = normal(*shape) * 3, normal(*shape, seed=1)
    for target, gradient in ((softmax, softmax_gradient), (log_softmax, log_softmax_gradient)):
        arrays = [dy, target.evaluate([x], {})[0]]
        if library.dnnl_get_effective_cpu_isa() & _AVX512 == _AVX512:
            check(gradient, arrays, tolerance=2e-6)
        else:  # oneDNN has its slow implementation alone
            assert prepare(gradient, arrays) is None


def test_nan_and_rows_without_a_finite_entry_stay_visible() -> None:
    x = normal(64, 100)
    x[1, 2] = np.nan
    x[3] = -np.inf
    x[5, 6] = np.inf
    (y,) = run(softmax, [x])
    assert y is not None
    assert np.flatnonzero(np.isnan(y).any(axis=1)).tolist() == [1, 3, 5]


def test_other_axes_types_and_small_arrays_are_left_to_numpy() -> None:
    x = normal(200, 100)
    assert prepare(softmax, [x], axis=0) is None
    assert prepare(softmax, [x], axis=(0, 1)) is None
    assert prepare(softmax, [x.astype(np.float64)]) is None
    assert prepare(softmax, [normal(4, 10)]) is None
    assert "onednn" not in log_softmax.kernels
