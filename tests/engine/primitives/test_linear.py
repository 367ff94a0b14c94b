"""Matrix products against NumPy, and their gradients."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from engine.primitives.linear import matmul
from engine.primitives.primitive import Spec
from tests.engine.gradient_check import check_gradients

SHAPES = [
    ((3, 4), (4, 2)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((3, 4), (2, 4, 5)),
    ((4,), (4, 3)),
    ((3, 4), (4,)),
    ((4,), (4,)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (4,)),
]

CALLS = [
    (a, b, transpose_a, transpose_b)
    for a, b in SHAPES
    for transpose_a in (False, True)
    for transpose_b in (False, True)
    if not (transpose_a and len(a) == 1) and not (transpose_b and len(b) == 1)  # a vector has no transpose
]


def operands(a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=a), rng.normal(size=b)
    return left.swapaxes(-1, -2) if transpose_a else left, right.swapaxes(-1, -2) if transpose_b else right


@pytest.mark.parametrize(("a", "b", "transpose_a", "transpose_b"), CALLS)
def test_matmul_equals_numpy_and_has_exact_gradients(a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> None:
    left, right = operands(a, b, transpose_a, transpose_b)
    options = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    expected = np.matmul(
        left.swapaxes(-1, -2) if transpose_a else left, right.swapaxes(-1, -2) if transpose_b else right
    )
    np.testing.assert_allclose(matmul(left, right, **options).numpy(), expected, rtol=1e-12)
    check_gradients(lambda x, y: matmul(x, y, **options), left, right, order=2)
    if len(b) > 1:
        bias = np.random.default_rng(2).normal(size=b[-1])
        np.testing.assert_allclose(matmul(left, right, bias, **options).numpy(), expected + bias, rtol=1e-12)
        check_gradients(lambda x, y, z: matmul(x, y, z, **options), left, right, bias)


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_matmul_writes_into_a_given_array(a: Any, b: Any) -> None:
    left, right = operands(a, b, False, False)
    expected = np.matmul(left, right)
    out = np.full(np.shape(expected), np.nan)
    matmul.into((left, right), (out,))
    np.testing.assert_allclose(out, expected)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_types_accumulate_in_float32(dtype: Any) -> None:
    a, b = np.full((1, 4096), 0.1, dtype), np.ones((4096, 1), dtype)
    result = matmul(a, b).numpy()
    assert result.dtype == dtype
    assert float(result.item()) == float(dtype(4096 * np.float32(a[0, 0])))


def test_operands_meet_in_their_common_dtype() -> None:
    assert matmul(np.ones((2, 3), np.float16), np.ones((3, 2), np.float32)).dtype == np.float32
    assert matmul(np.ones((2, 3), np.int32), np.ones((3, 2), np.int32)).numpy().tolist() == [[3, 3], [3, 3]]


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((2, 3), (4, 5)), {}, r"\(2, 3\) and \(4, 5\).*3 and 4 differ"),
        (((2, 3), (3, 5)), {"transpose_a": True}, "transpose_a=True"),
        (((2, 3, 4), (3, 4, 5)), {}, "batch axes"),
        (((), (4,)), {}, "at least one axis"),
        (((4,), (4, 2)), {"transpose_a": True}, "vector cannot be transposed"),
        (((2, 3), (3, 5), (4,)), {}, r"bias.*\(4,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_by_name(shapes: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        matmul.infer([Spec(shape, np.dtype("float32")) for shape in shapes], options)
