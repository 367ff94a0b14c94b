"""Pooling against plain loops over windows, and its gradients."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from engine.primitives.pooling import (
    average_pooling,
    average_pooling_gradient,
    max_pooling,
    max_pooling_gather,
    max_pooling_gradient,
)
from engine.tape import Tape
from engine.tensor import Tensor
from tests.engine.gradient_check import check_gradients

CASES = [
    # input shape, window, strides, padding
    ((2, 6, 4, 3), (2, 2), (2, 2), ((0, 0), (0, 0))),
    ((1, 5, 6, 2), (3, 2), (1, 2), ((1, 1), (0, 1))),
    ((2, 7, 5, 1), (3, 3), (2, 2), ((0, 1), (1, 1))),
    ((2, 9, 3), (4,), (3,), ((1, 2),)),
    ((1, 4, 5, 3, 2), (2, 3, 2), (2, 1, 2), ((0, 0), (1, 1), (1, 0))),
]


def windows(shape: Any, window: Any, strides: Any, padding: Any) -> Any:
    """For each window: its place in the output, and (position inside it, place in the input) for what lies inside."""
    counts = [(n + sum(p) - k) // s + 1 for n, k, s, p in zip(shape[1:-1], window, strides, padding, strict=True)]
    for place in product(*map(range, counts)):
        entries = []
        for number, position in enumerate(product(*map(range, window))):
            at = tuple(o * s + k - p[0] for o, s, k, p in zip(place, strides, position, padding, strict=True))
            if all(0 <= i < n for i, n in zip(at, shape[1:-1], strict=True)):
                entries.append((number, at))
        yield place, entries


def options_of(case: Any) -> dict[str, Any]:
    return dict(zip(("window", "strides", "padding"), case[1:], strict=True))


def distinct(shape: Any) -> Any:
    return np.random.default_rng(5).permutation(np.arange(np.prod(shape), dtype=float)).reshape(shape) / 10


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int32"])
def test_max_pooling_gives_the_maximum_and_where_it_was(case: Any, dtype: str) -> None:
    # Few different values: equal maxima are frequent, and the first of them counts.
    x = np.random.default_rng(0).integers(-3, 0, case[0]).astype(dtype)
    y, indices = max_pooling.evaluate([x], options_of(case))
    assert y.dtype == dtype
    assert indices.dtype == np.uint8
    for place, entries in windows(*case):
        key = (slice(None), *place)
        values = np.stack([x[(slice(None), *at)] for _, at in entries])
        np.testing.assert_array_equal(y[key], values.max(axis=0))
        numbers = np.array([number for number, _ in entries])
        np.testing.assert_array_equal(indices[key], numbers[values.argmax(axis=0)])


def test_padding_never_wins_even_against_minus_infinity() -> None:
    x = np.full((1, 2, 2, 1), -np.inf, np.float32)
    options = {"window": (3, 3), "strides": (1, 1), "padding": ((1, 1), (1, 1))}
    y, indices = max_pooling.evaluate([x], options)
    assert np.isneginf(y).all()
    assert indices[0, :, :, 0].tolist() == [[4, 3], [1, 0]]


def test_nan_wins() -> None:
    x = np.array([1.0, np.nan, 3.0, 2.0], np.float32).reshape(1, 4, 1)
    y, _ = max_pooling.evaluate([x], {"window": (2,), "strides": (1,), "padding": ((0, 0),)})
    assert np.isnan(y[0, :, 0]).tolist() == [True, True, False]


def test_large_windows_use_wider_indices() -> None:
    x = np.zeros((1, 16, 16, 1), np.float32)
    x[0, 15, 14, 0] = 1
    y, indices = max_pooling.evaluate([x], {"window": (16, 16), "strides": (1, 1), "padding": ((0, 0), (0, 0))})
    assert indices.dtype == np.int32
    assert indices.item() == 15 * 16 + 14
    assert y.item() == 1


@pytest.mark.parametrize("case", CASES)
def test_max_pooling_has_exact_gradients_of_first_and_second_order(case: Any) -> None:
    check_gradients(lambda x: max_pooling(x, **options_of(case)), distinct(case[0]), order=2, tolerance=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_scattering_and_gathering_of_maxima_are_transposes(case: Any) -> None:
    x = distinct(case[0])
    options = options_of(case)
    y, indices = max_pooling.evaluate([x], options)
    rng = np.random.default_rng(1)
    dy, g = rng.normal(size=y.shape), rng.normal(size=x.shape)
    scattered = max_pooling_gradient.evaluate([dy, indices], {**options, "shape": x.shape})[0]
    gathered = max_pooling_gather.evaluate([g, indices], options)[0]
    np.testing.assert_allclose(np.sum(scattered * g), np.sum(dy * gathered), rtol=1e-12)
    np.testing.assert_array_equal(max_pooling_gather.evaluate([x, indices], options)[0], y)


def test_of_equal_maxima_the_first_gets_the_whole_gradient() -> None:
    with Tape() as tape:
        x = Tensor(np.ones((1, 2, 2, 1), np.float32))
        tape.watch(x)
        y = max_pooling(x, window=(2, 2), strides=(2, 2), padding=((0, 0), (0, 0)))
    assert tape.gradient(y, [x])[0].numpy().ravel().tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_average_pooling_is_the_mean_of_what_lies_inside(case: Any, dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=case[0]).astype(dtype)
    y = average_pooling.evaluate([x], options_of(case))[0]
    assert y.dtype == dtype
    tolerance = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-3}[dtype]
    for place, entries in windows(*case):
        values = [x[(slice(None), *at)].astype(float) for _, at in entries]
        np.testing.assert_allclose(
            y[(slice(None), *place)].astype(float), np.mean(values, axis=0), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("case", CASES)
def test_average_pooling_has_exact_gradients_of_first_and_second_order(case: Any) -> None:
    options = options_of(case)
    x = distinct(case[0])
    check_gradients(lambda x: average_pooling(x, **options), x, order=2)
    dy = average_pooling.evaluate([x], options)[0]
    check_gradients(lambda dy: average_pooling_gradient(dy, shape=x.shape, **options), dy)


def test_shapes_that_do_not_fit_are_refused_by_name() -> None:
    from engine.primitives.primitive import Spec

    options = {"window": (2, 2), "strides": (2, 2), "padding": ((0, 0), (0, 0))}
    float32 = np.dtype("float32")
    with pytest.raises(ValueError, match=r"\(3, 4, 5\)"):
        max_pooling.infer([Spec((3, 4, 5), float32)], options)
    with pytest.raises(ValueError, match="does not fit"):
        average_pooling.infer([Spec((3, 1, 5, 2), float32)], options)
    with pytest.raises(ValueError, match=r"\(1, 2, 2, 1\).*\(1, 3, 2, 1\)"):
        average_pooling_gradient.infer([Spec((1, 3, 2, 1), float32)], {**options, "shape": (1, 4, 4, 1)})
