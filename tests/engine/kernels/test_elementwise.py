"""The kernels of functions of one number and of their gradients against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives import activations as a
from engine.primitives.elementwise import absolute, sqrt, square, tanh, tanh_gradient
from engine.primitives.primitive import Primitive
from tests.engine.kernels.running import check, normal, prepare, run

FORWARD: dict[str, tuple[Primitive, dict[str, Any]]] = {
    "leaky_relu": (a.leaky_relu, {"negative_slope": 0.2}),
    "elu": (a.elu, {"alpha": 0.7}),
    "sigmoid": (a.sigmoid, {}),
    "tanh": (tanh, {}),
    "silu": (a.silu, {}),
    "hard_silu": (a.hard_silu, {}),
    "gelu": (a.gelu, {"approximate": False}),
    "gelu, approximated": (a.gelu, {"approximate": True}),
    "absolute": (absolute, {}),
    "square": (square, {}),
}
BACKWARD: dict[str, tuple[Primitive, dict[str, Any]]] = {
    "relu": (a.relu_gradient, {}),
    "leaky_relu": (a.leaky_relu_gradient, {"negative_slope": 0.2}),
    "elu": (a.elu_gradient, {"alpha": 0.7}),
    "sigmoid": (a.sigmoid_gradient, {}),
    "tanh": (tanh_gradient, {}),
    "silu": (a.silu_gradient, {}),
    "hard_sigmoid": (a.hard_sigmoid_gradient, {}),
    "hard_silu": (a.hard_silu_gradient, {}),
    "gelu": (a.gelu_gradient, {"approximate": False}),
    "gelu, approximated": (a.gelu_gradient, {"approximate": True}),
}
SHAPES = [(1, 300, 450), (131_077,)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FORWARD)
def test_functions_equal_the_reference(name: str, shape: Any) -> None:
    target, options = FORWARD[name]
    x = normal(*shape) * 4
    x.flat[:4] = [0, -100, 100, 3]
    check(target, [x], tolerance=2e-6, **options)


def test_square_roots_equal_the_reference() -> None:
    check(sqrt, [np.abs(normal(400, 400))], tolerance=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", BACKWARD)
def test_gradients_equal_the_reference(name: str, shape: Any) -> None:
    target, options = BACKWARD[name]
    z = normal(*shape, seed=1) * 4
    z.flat[:3] = [0, -100, 100]
    if name in ("sigmoid", "tanh"):
        z = np.tanh(z)
    check(target, [normal(*shape), z], tolerance=5e-6, **options)


@pytest.mark.parametrize("name", FORWARD)
def test_nan_stays_visible(name: str) -> None:
    target, options = FORWARD[name]
    x = normal(400, 400)
    x[3, 5] = np.nan
    (y,) = run(target, [x], **options)
    assert y is not None
    assert np.argwhere(np.isnan(y)).tolist() == [[3, 5]]


@pytest.mark.parametrize("name", BACKWARD)
def test_gradients_that_are_nan_stay_so(name: str) -> None:
    target, options = BACKWARD[name]
    dy, z = normal(400, 400), np.abs(normal(400, 400, seed=1))
    dy[3, 5] = np.nan
    (dx,) = run(target, [dy, z], **options)
    assert dx is not None
    assert np.argwhere(np.isnan(dx)).tolist() == [[3, 5]]


def test_small_and_foreign_arrays_are_left_to_numpy() -> None:
    for dtype, shape in ((np.float32, (4, 8)), (np.float64, (512, 512)), (np.float32, (0, 512))):
        x = np.ones(shape, dtype)
        assert prepare(a.silu, [x]) is None
        assert prepare(a.silu_gradient, [x, x]) is None
        assert prepare(a.relu_gradient, [x, x]) is None


def test_what_loses_nan_or_digits_or_has_no_equal_is_left_to_numpy() -> None:
    for target in (a.relu, a.hard_sigmoid, a.selu, a.softplus, a.erf):
        assert "onednn" not in target.kernels
