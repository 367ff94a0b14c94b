"""Convolution against plain sums over the window, and its gradients."""

from __future__ import annotations

from itertools import product
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from engine.primitives.convolution import (
    convolution,
    convolution_input_gradient,
    convolution_kernel_gradient,
    transposed_convolution,
)
from engine.primitives.primitive import Spec
from engine.tensor import Tensor
from tests.engine.gradient_check import check_gradients

Options = dict[str, Any]

CASES = [
    # input shape, kernel shape, strides, padding, dilation, groups
    ((2, 5, 6, 3), (3, 2, 3, 4), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((2, 6, 5, 3), (3, 3, 3, 5), (2, 1), ((1, 1), (0, 2)), (1, 1), 1),
    ((1, 9, 7, 2), (3, 2, 2, 3), (1, 2), ((2, 0), (1, 3)), (2, 3), 1),
    ((2, 5, 5, 4), (3, 3, 2, 6), (1, 1), ((1, 1), (1, 1)), (1, 1), 2),
    ((2, 6, 5, 3), (3, 3, 1, 6), (2, 2), ((0, 1), (1, 1)), (1, 1), 3),
    ((3, 4, 4, 5), (1, 1, 5, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((3, 5, 4, 2), (1, 1, 2, 3), (2, 3), ((0, 0), (0, 0)), (1, 1), 1),
    ((2, 8, 3), (3, 3, 4), (2,), ((1, 2),), (2,), 1),
    ((2, 4, 5, 3, 2), (2, 3, 2, 1, 4), (2, 1, 1), ((1, 0), (1, 1), (0, 1)), (1, 2, 1), 2),
    ((2, 3, 3, 2), (2, 2, 2, 3), (3, 3), ((4, 4), (5, 0)), (1, 1), 1),  # windows wholly in the padding
]


def options_of(strides: Any, padding: Any, dilation: Any, groups: int) -> Options:
    return {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}


def by_definition(x: Any, w: Any, strides: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """One output entry at a time."""
    spatial, window = x.shape[1:-1], w.shape[:-2]
    counts = [
        (n + sum(p) - (k - 1) * d - 1) // s + 1
        for n, k, s, p, d in zip(spatial, window, strides, padding, dilation, strict=True)
    ]
    channels, filters = w.shape[-2], w.shape[-1] // groups
    y = np.zeros((x.shape[0], *counts, w.shape[-1]), x.dtype)
    for place in product(*map(range, counts)):
        for position in product(*map(range, window)):
            at = tuple(
                o * s + k * d - p[0] for o, s, k, d, p in zip(place, strides, position, dilation, padding, strict=True)
            )
            if all(0 <= i < n for i, n in zip(at, spatial, strict=True)):
                for group in range(groups):
                    inside = x[(slice(None), *at, slice(group * channels, (group + 1) * channels))]
                    kernel = w[(*position, slice(None), slice(group * filters, (group + 1) * filters))]
                    y[(slice(None), *place, slice(group * filters, (group + 1) * filters))] += inside @ kernel
    return y


def draw(*shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_convolution_equals_its_definition(case: Any, dtype: str) -> None:
    x, w, bias = (array.astype(dtype) for array in draw(case[0], case[1], case[1][-1:]))
    options = options_of(*case[2:])
    expected = by_definition(x.astype(float), w.astype(float), **options)
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
    plain = convolution.evaluate([x, w], options)[0]
    biased = convolution.evaluate([x, w, bias], options)[0]
    assert plain.dtype == biased.dtype == dtype
    np.testing.assert_allclose(plain, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(biased, expected + bias, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_convolution_has_exact_gradients_of_first_and_second_order(case: Any) -> None:
    shape, kernel = case[0], case[1]
    if np.prod(shape) > 120:  # differences of second order for each entry take long
        shape = (1, *shape[1:])
    options = options_of(*case[2:])
    check_gradients(
        lambda x, w, b: convolution(x, w, b, **options),
        *draw(shape, kernel, kernel[-1:]),
        order=2 if np.prod(shape) + np.prod(kernel) < 150 else 1,
    )


def test_the_gradient_primitives_have_gradients_themselves() -> None:
    options = options_of((2, 1), ((1, 0), (1, 1)), (1, 1), 2)
    x, w, dy = draw((2, 4, 3, 4), (3, 2, 2, 2), (2, 2, 4, 2))
    check_gradients(lambda dy, w: convolution_input_gradient(dy, w, shape=x.shape, **options), dy, w, order=2)
    check_gradients(lambda x, dy: convolution_kernel_gradient(x, dy, kernel_shape=w.shape, **options), x, dy, order=2)


@pytest.mark.parametrize("case", CASES)
def test_transposed_convolution_is_the_transpose_of_convolution(case: Any) -> None:
    shape, kernel = case[:2]
    options = options_of(*case[2:])
    x, w, bias = draw(shape, kernel, shape[-1:])
    y = convolution.evaluate([x, w], options)[0]
    (dy,) = draw(y.shape)
    given = {**options, "spatial": shape[1:-1]}
    back = transposed_convolution.evaluate([dy, w], given)[0]
    assert back.shape == shape
    np.testing.assert_allclose(np.vdot(y, dy), np.vdot(x, back), rtol=1e-10)
    np.testing.assert_allclose(transposed_convolution.evaluate([dy, w, bias], given)[0], back + bias, atol=1e-12)


def test_transposed_convolution_has_exact_gradients_of_first_and_second_order() -> None:
    options = {**options_of((2, 1), ((1, 0), (1, 1)), (1, 1), 2), "spatial": (4, 3)}
    check_gradients(
        lambda *values: transposed_convolution(*values, **options),
        *draw((1, 2, 4, 2), (3, 2, 2, 2), (4,)),
        order=2,
    )


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_types_of_transposed_convolution_accumulate_in_float32(dtype: Any) -> None:
    x, w = np.full((1, 3, 1000), 0.1, dtype), np.ones((1, 2, 1000), dtype)
    options = {"spatial": (3,), "strides": (1,), "padding": ((0, 0),), "dilation": (1,)}
    y = transposed_convolution.evaluate([x, w, np.zeros(2, dtype)], options)[0]
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.astype(float), float(dtype(1000 * np.float32(x[0, 0, 0]))))


def test_transposed_convolution_names_what_does_not_fit() -> None:
    options = {"spatial": (8,), "strides": (2,), "padding": ((0, 0),), "dilation": (1,)}

    def specs(*shapes: Any) -> list[Spec]:
        return [Spec(shape, np.dtype("float32")) for shape in shapes]

    with pytest.raises(ValueError, match=r"an input of \(2, 4, 3\). Received: \(2, 5, 3\)"):
        transposed_convolution.infer(specs((2, 5, 3), (2, 6, 3)), options)
    with pytest.raises(ValueError, match=r"to 6 filters expects a bias of that length. Received: \(3,\)"):
        transposed_convolution.infer(specs((2, 4, 3), (2, 6, 3), (3,)), options)


def test_large_batches_are_split_without_changing_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.primitives import convolution as module
    from engine.primitives import windows

    x, w = draw((7, 5, 5, 2), (3, 3, 2, 3))
    options = options_of((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    dy = draw((7, 5, 5, 3))[0]
    calls = [
        (module.convolution, [x, w], {}),
        (module.convolution_input_gradient, [dy, w], {"shape": x.shape}),
        (module.convolution_kernel_gradient, [x, dy], {"kernel_shape": w.shape}),
    ]
    whole = [target.evaluate(arrays, {**extra, **options}) for target, arrays, extra in calls]
    split = windows.batch_chunks
    monkeypatch.setattr(module, "batch_chunks", lambda batch, each: split(batch, each, limit=2 * each))
    for (target, arrays, extra), expected in zip(calls, whole, strict=True):
        for ours, theirs in zip(target.evaluate(arrays, {**extra, **options}), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_types_accumulate_in_float32(dtype: Any) -> None:
    x, w = np.full((1, 40, 40, 1), 0.1, dtype), np.full((40, 40, 1, 1), 1.0, dtype)
    options = options_of((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    y = convolution.evaluate([x, w], options)[0]
    assert y.dtype == dtype
    assert float(y.squeeze()) == float(dtype(1600 * np.float32(x[0, 0, 0, 0])))


def test_empty_batches_pass() -> None:
    options = options_of((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    x, w = np.zeros((0, 4, 4, 2), np.float32), np.ones((3, 3, 2, 5), np.float32)
    assert convolution(Tensor(x), Tensor(w), **options).shape == (0, 4, 4, 5)
    dw, db = convolution_kernel_gradient.evaluate(
        [x, np.zeros((0, 4, 4, 5), "f4")], {**options, "kernel_shape": w.shape}
    )
    assert not dw.any()
    assert not db.any()


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (
            ((1, 5, 5, 3), (3, 3, 4, 2)),
            options_of((1, 1), ((0, 0), (0, 0)), (1, 1), 1),
            r"\(1, 5, 5, 3\).*\(3, 3, 4, 2\)",
        ),
        (((1, 5, 5, 4), (3, 3, 2, 3)), options_of((1, 1), ((0, 0), (0, 0)), (1, 1), 2), "multiple of 2"),
        (((1, 5, 5), (3, 3, 4, 2)), options_of((1, 1), ((0, 0), (0, 0)), (1, 1), 1), r"\(1, 5, 5\)"),
        (((1, 2, 5, 1), (3, 3, 1, 1)), options_of((1, 1), ((0, 0), (0, 0)), (1, 1), 1), "does not fit"),
        (((1, 5, 5, 1), (3, 3, 1, 1)), options_of((1, 0), ((0, 0), (0, 0)), (1, 1), 1), "strides"),
        (((1, 5, 5, 1), (3, 3, 1, 1)), options_of((1, 1), ((0, 0), (0, -1)), (1, 1), 1), "paddings"),
        (((1, 5, 5, 1), (3, 3, 1, 2), (3,)), options_of((1, 1), ((0, 0), (0, 0)), (1, 1), 1), "bias"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(shapes: Any, options: Options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convolution.infer([Spec(shape, np.dtype("float32")) for shape in shapes], options)
