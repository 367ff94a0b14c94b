"""The convolution kernels against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.convolution import convolution, convolution_input_gradient, convolution_kernel_gradient
from engine.primitives.primitive import Spec
from tests.engine.kernels.cases import CONVOLUTIONS
from tests.engine.kernels.running import check, normal, prepare, run

cases = pytest.mark.parametrize("case", list(CONVOLUTIONS.values()), ids=list(CONVOLUTIONS))


def _result_shape(x: tuple[int, ...], w: tuple[int, ...], options: dict[str, Any]) -> tuple[int, ...]:
    dtype = np.dtype(np.float32)
    return convolution.infer([Spec(x, dtype), Spec(w, dtype)], options)[0].shape


@cases
def test_forward_equals_the_reference_with_and_without_bias_and_packed_weights(case: Any) -> None:
    x, w, options = case
    arrays = [normal(*x), normal(*w), normal(w[-1])]
    check(convolution, arrays, **options)
    check(convolution, arrays[:2], **options)
    check(convolution, arrays, constant=(1, 2), **options)


@cases
def test_input_gradient_equals_the_reference(case: Any) -> None:
    x, w, options = case
    arrays = [normal(*_result_shape(x, w, options)), normal(*w)]
    check(convolution_input_gradient, arrays, shape=x, **options)
    check(convolution_input_gradient, arrays, constant=(1,), shape=x, **options)


@cases
def test_kernel_gradient_equals_the_reference_whichever_output_is_wanted(case: Any) -> None:
    x, w, options = case
    arrays = [normal(*x), normal(*_result_shape(x, w, options))]
    for wanted in ([True, True], [True, False], [False, True]):
        check(convolution_kernel_gradient, arrays, wanted=wanted, kernel_shape=w, **options)


def test_weights_are_packed_only_where_they_are_constant() -> None:
    x, w, options = CONVOLUTIONS["digits, second layer"]
    arrays = [normal(*x), normal(*w)]
    changing = prepare(convolution, arrays, **options)
    constant = prepare(convolution, arrays, constant=(1,), **options)
    assert changing is not None
    assert constant is not None
    assert not changing.packings
    assert list(constant.packings) == [1]
    assert constant.scratch_bytes < changing.scratch_bytes


def test_packings_are_equal_where_the_layout_is_so_that_plans_can_share_weights() -> None:
    def packing(batch: int, filters: int) -> Any:
        options = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
        arrays = [normal(batch, 12, 12, 32), normal(3, 3, 32, filters)]
        executable = prepare(convolution, arrays, constant=(1,), **options)
        assert executable is not None
        return executable.packings[1]

    one, eight, other = packing(1, 64), packing(8, 64), packing(8, 32)
    assert one == eight
    assert hash(one) == hash(eight)
    assert eight != other


def test_non_finite_values_pass_through() -> None:
    x, w, options = CONVOLUTIONS["batch of one"]
    image = normal(*x)
    image[0, 3, 3, 0] = np.nan
    (y,) = run(convolution, [image, normal(*w)], **options)
    assert y is not None
    assert np.isnan(y[0, 2:5, 2:5]).all()


@pytest.mark.parametrize(
    ("x", "w", "dtype"),
    [
        ((2, 8, 8, 4), (3, 3, 4, 8), np.float64),
        ((2, 8, 8, 4), (3, 3, 4, 8), np.float16),
        ((0, 8, 8, 4), (3, 3, 4, 8), np.float32),
        ((2, 4, 4, 4, 4, 2), (2, 2, 2, 2, 2, 2), np.float32),
    ],
    ids=["float64", "float16", "no images", "four dimensions of space"],
)
def test_declines_what_it_does_not_support(x: Any, w: Any, dtype: Any) -> None:
    rank = len(x) - 2
    options = {"strides": (1,) * rank, "padding": ((0, 0),) * rank, "dilation": (1,) * rank, "groups": 1}
    assert prepare(convolution, [np.zeros(x, dtype), np.zeros(w, dtype)], **options) is None
