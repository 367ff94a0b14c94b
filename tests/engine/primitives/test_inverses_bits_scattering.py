"""Inverse functions, bits, and writing along an axis: values against NumPy, gradients against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives import bits, inverses
from engine.primitives.scattering import put_along_axis
from engine.tensor import Tensor
from tests.engine.gradient_check import check_gradients

rng = np.random.default_rng(3)
WITHIN = rng.uniform(-0.8, 0.8, size=(3, 4))
ABOVE = rng.uniform(1.2, 3, size=(3, 4))
INDICES = np.array([[2, 0, 1, 3], [0, -1, 2, 1]])


@pytest.mark.parametrize("name", ["arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh"])
def test_gradients_of_inverse_functions_are_exact(name: str) -> None:
    check_gradients(getattr(inverses, name), ABOVE if name == "arccosh" else WITHIN, order=2)


@pytest.mark.parametrize("reduction", ["none", "add"])
@pytest.mark.parametrize("axis", [0, 1])
def test_gradients_of_writing_along_an_axis_are_exact(axis: int, reduction: str) -> None:
    indices = INDICES if axis == 1 else INDICES % 3
    indices = indices if reduction == "add" else np.array([[2, 0, 1, 1], [0, 1, 2, 0]]) if axis == 0 else INDICES

    def function(x: Any, updates: Any) -> Any:
        return put_along_axis(x, Tensor(indices), updates, axis=axis, reduction=reduction)

    check_gradients(function, WITHIN, ABOVE[:2], order=2)


def test_entries_are_joined_as_the_reduction_says() -> None:
    x, indices = np.array([1.0, 2.0, 3.0]), Tensor(np.array([0, 0, -1]))
    updates = Tensor(np.array([5.0, 0.5, 7.0]))
    found = {
        reduction: put_along_axis(Tensor(x), indices, updates, axis=0, reduction=reduction).tolist()
        for reduction in ("none", "add", "mul", "max", "min")
    }
    assert found == {
        "none": [0.5, 2.0, 7.0],
        "add": [6.5, 2.0, 10.0],
        "mul": [2.5, 2.0, 21.0],
        "max": [5.0, 2.0, 7.0],
        "min": [0.5, 2.0, 3.0],
    }


def test_writing_refuses_what_does_not_fit() -> None:
    x = Tensor(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="do not fit"):
        put_along_axis(x, Tensor(np.zeros((3, 1), int)), Tensor(np.zeros((3, 1))), axis=1, reduction="none")
    with pytest.raises(ValueError, match="updates like x"):
        put_along_axis(x, Tensor(np.zeros((2, 1), int)), Tensor(np.zeros((2, 1), np.float32)), axis=1, reduction="none")


def test_bits_are_those_of_numpy_and_floats_have_none() -> None:
    a, b = np.array([6, 255, 1], np.uint8), np.array([3, 15, 7], np.uint8)
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"):
        np.testing.assert_array_equal(getattr(bits, name)(a, b).numpy(), getattr(np, name)(a, b))
    np.testing.assert_array_equal(bits.bitwise_not(a).numpy(), np.invert(a))
    with pytest.raises(ValueError, match="expects integers"):
        bits.bitwise_and(WITHIN, WITHIN)
