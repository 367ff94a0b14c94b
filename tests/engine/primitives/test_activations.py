"""Activations: values where naive formulae fail, all float types, gradients."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from engine.primitives.activations import (
    elu,
    elu_gradient,
    erf,
    gelu,
    gelu_gradient,
    hard_sigmoid,
    hard_silu,
    leaky_relu,
    log_softmax,
    relu,
    relu_gradient,
    selu,
    sigmoid,
    sigmoid_gradient,
    silu,
    softmax,
    softplus,
)
from engine.primitives.elementwise import tanh
from engine.primitives.primitive import Primitive, Spec
from tests.engine.gradient_check import check_gradients


def _bent(x: Any, alpha: float) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


_ERF = np.vectorize(math.erf)

FORMULAE: dict[str, tuple[Primitive, dict[str, Any], Any]] = {
    "relu": (relu, {}, lambda x: np.where(x > 0, x, 0)),
    "leaky_relu": (leaky_relu, {"negative_slope": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x)),
    "leaky_relu, steep": (leaky_relu, {"negative_slope": 1.5}, lambda x: np.where(x > 0, x, 1.5 * x)),
    "elu": (elu, {"alpha": 0.7}, lambda x: _bent(x, 0.7)),
    "selu": (selu, {}, lambda x: 1.0507009873554805 * _bent(x, 1.6732632423543772)),
    "sigmoid": (sigmoid, {}, lambda x: 1 / (1 + np.exp(-x))),
    "tanh": (tanh, {}, np.tanh),
    "softplus": (softplus, {}, lambda x: np.log1p(np.exp(x))),
    "silu": (silu, {}, lambda x: x / (1 + np.exp(-x))),
    "hard_sigmoid": (hard_sigmoid, {}, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hard_silu": (hard_silu, {}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "gelu": (gelu, {"approximate": False}, lambda x: x / 2 * (1 + _ERF(x / np.sqrt(2)))),
    "gelu, approximated": (
        gelu,
        {"approximate": True},
        lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    "softmax": (softmax, {}, lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)),
    "log_softmax": (log_softmax, {}, lambda x: x - np.log(np.exp(x).sum(axis=-1, keepdims=True))),
    "erf": (erf, {}, _ERF),
}
TOLERANCES = {"float64": 3e-14, "float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", FORMULAE)
def test_activation_equals_its_formula(name: str, dtype: str) -> None:
    target, options, formula = FORMULAE[name]
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    x = np.random.default_rng(0).normal(0, 3, size=(5, 7)).astype(kind)
    y = target.evaluate([x], options)[0]
    assert y.dtype == kind
    np.testing.assert_allclose(
        y.astype(float), formula(x.astype(float)), rtol=TOLERANCES[dtype] * 10, atol=TOLERANCES[dtype]
    )
    # The same in place, as plans do it.
    assert target.into is not None
    target.into((x,), (x,), **options)
    np.testing.assert_array_equal(x.astype(float), y.astype(float))


@pytest.mark.parametrize("name", FORMULAE)
def test_activation_has_exact_gradients_of_first_and_second_order(name: str) -> None:
    x = np.random.default_rng(1).normal(0, 2, size=(3, 4))
    target, options, _ = FORMULAE[name]
    check_gradients(lambda x: target(x, **options), x, order=2)


@pytest.mark.parametrize("axis", [0, 1, -2, (0, 2)])
@pytest.mark.parametrize("target", [softmax, log_softmax])
def test_softmax_runs_along_any_axes(target: Primitive, axis: Any) -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 2))
    exponentials = np.exp(x)
    expected = exponentials / exponentials.sum(axis=axis, keepdims=True)
    y = target(x, axis=axis).numpy()
    np.testing.assert_allclose(y if target is softmax else np.exp(y), expected, rtol=1e-12)
    check_gradients(lambda x: target(x, axis=axis), x, order=2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_arguments_neither_overflow_nor_lose_small_results(dtype: Any) -> None:
    with np.errstate(all="raise", under="ignore"):
        x = np.array([-80.0, -1000.0, 0.0, 1000.0], dtype)
        # float32 cannot hold exp(-80) relative to 1, but the sigmoid itself it can.
        np.testing.assert_allclose(sigmoid.evaluate([x], {})[0], [np.exp(-80.0), 0, 0.5, 1], rtol=1e-6)
        np.testing.assert_allclose(softplus.evaluate([x], {})[0], [np.exp(-80.0), 0, np.log(2), 1000], rtol=1e-6)
        rows = np.array([[1000.0, 0.0], [-1000.0, -1000.0]], dtype)
        np.testing.assert_allclose(softmax.evaluate([rows], {})[0], [[1, 0], [0.5, 0.5]])
        np.testing.assert_allclose(log_softmax.evaluate([rows], {})[0], [[0, -1000], [-np.log(2)] * 2], rtol=1e-6)
        np.testing.assert_array_equal(erf.evaluate([x], {})[0][[1, 2, 3]].round(6), [-1, 0, 1])


def test_relu_keeps_nan_and_its_gradient_drops_infinities() -> None:
    assert np.isnan(relu(np.array([np.nan], np.float32)).numpy()).all()
    dy = np.array([np.inf, np.nan, -np.inf, 5], np.float32)
    y = np.array([0, 0, 1, 2], np.float32)
    np.testing.assert_array_equal(relu_gradient(dy, y).numpy(), [0, 0, -np.inf, 5])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_gradients_stay_finite_far_from_zero(dtype: Any) -> None:
    x = np.array([-1e4, -60.0, 60.0, 1e4], dtype)
    ones = np.ones(4, dtype)
    with np.errstate(all="raise", under="ignore"):
        for approximate in (False, True):
            received = gelu_gradient.evaluate([ones, x], {"approximate": approximate})[0]
            assert received.dtype == dtype
            np.testing.assert_allclose(received, [0, 0, 1, 1], atol=1e-7)
        np.testing.assert_array_equal(elu_gradient.evaluate([ones, x], {})[0], [0, np.exp(dtype(-60)), 1, 1])


@pytest.mark.parametrize("name", [name for name in FORMULAE if "soft" not in name])
def test_nan_stays_visible(name: str) -> None:
    target, options, _ = FORMULAE[name]
    y = target.evaluate([np.array([1.0, np.nan], np.float32)], options)[0]
    assert np.isnan(y).tolist() == [False, True]


def test_relu_keeps_integers() -> None:
    assert relu(np.array([-2, 3], np.int32)).numpy().tolist() == [0, 3]


def test_relu_gradient_refuses_two_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        relu_gradient.infer([Spec((2,), np.dtype("float32")), Spec((3,), np.dtype("float32"))], {})
    with pytest.raises(ValueError, match=r"sigmoid_gradient .* \(2,\) and \(3,\)"):
        sigmoid_gradient.infer([Spec((2,), np.dtype("float32")), Spec((3,), np.dtype("float32"))], {})
