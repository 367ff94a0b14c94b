"""The transposed convolution kernel against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.convolution import convolution, transposed_convolution
from engine.primitives.primitive import Spec
from tests.engine.kernels.cases import CONVOLUTIONS
from tests.engine.kernels.running import check, normal, prepare

_FLOAT32 = np.dtype(np.float32)


@pytest.mark.parametrize("case", list(CONVOLUTIONS.values()), ids=list(CONVOLUTIONS))
def test_transposed_convolution_equals_the_reference_with_and_without_bias_and_packed(case: Any) -> None:
    image, kernel, options = case
    x = convolution.infer([Spec(image, _FLOAT32), Spec(kernel, _FLOAT32)], options)[0].shape
    arrays = [normal(*x), normal(*kernel), normal(image[-1])]
    options = {**options, "spatial": image[1:-1]}
    check(transposed_convolution, arrays, **options)
    check(transposed_convolution, arrays[:2], **options)
    check(transposed_convolution, arrays, constant=(1, 2), **options)


def test_a_result_longer_than_what_the_windows_cover_ends_in_the_bias() -> None:
    options: dict[str, Any] = {
        "spatial": (12, 13),
        "strides": (3, 3),
        "padding": ((0, 0), (0, 0)),
        "dilation": (1, 1),
        "groups": 1,
    }
    check(transposed_convolution, [normal(2, 4, 4, 8), normal(1, 2, 5, 8), normal(5)], **options)


def test_declines_other_types_and_four_axes_of_space() -> None:
    options: dict[str, Any] = {"spatial": (8,), "strides": (2,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
    arrays = [np.ones((2, 4, 3)), np.ones((2, 5, 3))]
    assert prepare(transposed_convolution, arrays, **options) is None
    four: dict[str, Any] = {"strides": (1,) * 4, "padding": ((0, 0),) * 4, "dilation": (1,) * 4, "groups": 1}
    arrays = [normal(1, 2, 2, 2, 2, 3), normal(1, 1, 1, 1, 5, 3)]
    assert prepare(transposed_convolution, arrays, spatial=(2,) * 4, **four) is None
