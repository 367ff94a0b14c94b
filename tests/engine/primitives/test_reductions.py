"""Reductions and running sums against NumPy, and their gradients."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from engine.primitives import reductions as r
from engine.primitives.primitive import Primitive, Spec
from engine.primitives.shaping import reduce_sum
from engine.primitives.sums import column_sums
from engine.tape import Tape
from engine.tensor import Tensor
from tests.engine.gradient_check import check_gradients

REDUCTIONS: list[tuple[Primitive, Any]] = [
    (reduce_sum, np.sum),
    (r.reduce_mean, np.mean),
    (r.reduce_max, np.max),
    (r.reduce_min, np.min),
    (r.reduce_prod, np.prod),
    (r.reduce_any, np.any),
    (r.reduce_all, np.all),
]
AXES = [(), (0,), (2,), (0, 2), (0, 1, 2)]


def draw(shape: tuple[int, ...] = (3, 4, 5)) -> Any:
    return np.random.default_rng(6).normal(size=shape)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("target", "function"), REDUCTIONS)
def test_reduction_equals_numpy(target: Primitive, function: Any, dtype: str, axes: Any, keepdims: bool) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    x = draw().astype(kind)
    options = {"axes": axes, "keepdims": keepdims}
    spec = target.infer([Spec(x.shape, x.dtype)], options)[0]
    y = target.evaluate([x], options)[0]
    expected = function(x.astype(float), axis=axes, keepdims=keepdims)
    assert (y.shape, y.dtype) == (spec.shape, spec.dtype) == (expected.shape, spec.dtype)
    tolerance = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3, "bfloat16": 1e-2}[dtype]
    np.testing.assert_allclose(y.astype(float), expected.astype(float), rtol=tolerance, atol=tolerance)
    assert target.into is not None
    out = np.empty(spec.shape, spec.dtype)
    target.into((x,), (out,), **options)
    np.testing.assert_array_equal(out, y)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("target", [reduce_sum, r.reduce_mean, r.reduce_max, r.reduce_min, r.reduce_prod])
def test_reduction_has_exact_gradients_of_first_and_second_order(target: Primitive, axes: Any) -> None:
    check_gradients(lambda x: target(x, axes=axes), draw((2, 3, 4)), order=2)
    check_gradients(lambda x: target(x, axes=axes, keepdims=True), draw((2, 3, 4)))


def gradient(target: Primitive, values: Any) -> list[float]:
    x = Tensor(np.array(values, np.float32))
    with Tape() as tape:
        tape.watch(x)
        y = target(x, axes=(0,))
    return tape.gradient(y, [x])[0].numpy().tolist()


def test_equal_extrema_share_the_gradient() -> None:
    assert gradient(r.reduce_max, [1, 2, 2, 0]) == [0, 0.5, 0.5, 0]
    assert gradient(r.reduce_min, [0, 2, 0, 0]) == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 2, 3], [6, 0, 0]), ([0, 0, 3], [0, 0, 0]), ([5], [1]), ([2, 3, 4, 5, 6], [360, 240, 180, 144, 120])],
)
def test_the_gradient_of_a_product_is_exact_at_zeros(values: Any, expected: Any) -> None:
    assert gradient(r.reduce_prod, values) == expected


def test_products_of_nothing_are_one() -> None:
    x = Tensor(np.zeros((2, 0), np.float32))
    with Tape() as tape:
        tape.watch(x)
        y = r.reduce_prod(x, axes=(1,))
    assert y.numpy().tolist() == [1, 1]
    assert tape.gradient(y, [x])[0].shape == (2, 0)


def test_half_sums_do_not_stall() -> None:
    ones = np.ones(5000, ml_dtypes.bfloat16)
    assert float(reduce_sum(ones, axes=(0,)).numpy()) == float(ml_dtypes.bfloat16(5000))
    assert float(r.reduce_mean(ones, axes=(0,)).numpy()) == 1
    assert float(r.cumsum(np.ones(5000, np.float16), axis=0).numpy()[-1]) == 5000


def test_column_sums_keep_their_digits_over_many_rows() -> None:
    x = np.full((1_000_001, 1), 0.1, np.float32)
    assert column_sums(x).item() == pytest.approx(float(np.float32(0.1)) * 1_000_001, rel=3e-7)
    assert reduce_sum(x.reshape(1_000_001, 1, 1), axes=(0, 1)).item() == column_sums(x).item()
    assert r.reduce_mean(x, axes=(0,)).item() == pytest.approx(0.1, rel=3e-7)
    small = draw((700, 3))
    np.testing.assert_allclose(column_sums(small), small.sum(axis=0))


def test_the_mean_of_integers_is_a_float() -> None:
    y = r.reduce_mean(np.array([1, 2], np.int32), axes=(0,))
    assert (y.dtype.name, y.item()) == ("float32", 1.5)


def test_extrema_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 0\).*no entries"):
        r.reduce_max(np.zeros((2, 0), np.float32), axes=(1,))
    with pytest.raises(ValueError, match="no entries"):
        r.argmax(np.zeros((2, 0), np.float32), axis=1)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_positions_of_extrema_are_those_of_numpy(axis: int, keepdims: bool) -> None:
    x = np.array([[1, 3, 3], [np.nan, 0, 3.0]])
    for ours, numpys in ((r.argmax, np.argmax), (r.argmin, np.argmin)):
        y = ours(x, axis=axis, keepdims=keepdims)
        assert y.dtype == np.int32
        np.testing.assert_array_equal(y.numpy(), numpys(x, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("axis", [0, 1])
def test_running_sums_equal_numpy_and_have_exact_gradients(axis: int) -> None:
    x = draw((3, 4))
    np.testing.assert_allclose(r.cumsum(x, axis=axis).numpy(), np.cumsum(x, axis=axis))
    backwards = np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis)
    np.testing.assert_allclose(r.cumsum(x, axis=axis, reverse=True).numpy(), backwards)
    check_gradients(lambda x: r.cumsum(x, axis=axis), x, order=2)
    assert r.cumsum.into is not None
    r.cumsum.into((x,), (x,), axis=axis, reverse=True)
    np.testing.assert_allclose(x, backwards)
