"""Gradients of the elementary primitives, in the corners where formulae divide by zero or arrays shrink to scalars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.primitives import elementwise as e
from engine.primitives import shaping as s
from engine.primitives.decomposition import differentiate
from engine.tape import Tape
from engine.tensor import Tensor, full_like, is_zero
from tests.engine.gradient_check import check_gradients

rng = np.random.default_rng(7)
POSITIVE = rng.uniform(0.5, 2, size=(3, 4))
SIGNED = rng.normal(size=(3, 4))

CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "add": (e.add, (SIGNED, SIGNED[0])),
    "subtract": (e.subtract, (SIGNED, SIGNED[:, :1])),
    "multiply": (e.multiply, (SIGNED, SIGNED[:1])),
    "divide": (e.divide, (SIGNED, POSITIVE[0])),
    "power": (e.power, (POSITIVE, SIGNED[0])),
    "mod": (e.mod, (SIGNED, POSITIVE)),
    "maximum": (e.maximum, (SIGNED, POSITIVE)),
    "minimum": (e.minimum, (SIGNED, POSITIVE[0])),
    "select": (lambda a, b: e.where(a > b, a, b * 2), (SIGNED, POSITIVE)),
    "absolute": (e.absolute, (SIGNED,)),
    "exp": (e.exp, (SIGNED,)),
    "expm1": (e.expm1, (SIGNED,)),
    "log": (e.log, (POSITIVE,)),
    "log1p": (e.log1p, (POSITIVE,)),
    "sqrt": (e.sqrt, (POSITIVE,)),
    "square": (e.square, (SIGNED,)),
    "sin": (e.sin, (SIGNED,)),
    "cos": (e.cos, (SIGNED,)),
    "tanh": (e.tanh, (SIGNED,)),
    "reshape": (lambda x: s.reshape(x, shape=(2, -1)) * 2, (SIGNED,)),
    "transpose": (lambda x: s.transpose(x, axes=(1, 0)) * 2, (SIGNED,)),
    "broadcast_to": (lambda x: s.broadcast_to(x, shape=(2, 3, 4)) * 2, (SIGNED,)),
    "pad": (lambda x: s.pad(x, widths=((1, 0), (2, 1)), value=3.0), (SIGNED,)),
    "concatenate": (lambda a, b: s.concatenate(a, b, axis=0), (SIGNED, POSITIVE)),
    "gather": (lambda x: s.gather(x, np.array([[0, 2], [2, -1]]), axis=1), (SIGNED,)),
    "slice": (lambda x: x[::2, 3:0:-2], (SIGNED,)),
    "row": (lambda x: x[1], (SIGNED,)),
    "one entry": (lambda x: x[1, 2], (SIGNED,)),
    "one entry of a vector": (lambda x: x[2], (SIGNED[0],)),
    "new axis": (lambda x: x[:, None, 1:], (SIGNED,)),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_first_and_second_order_are_exact(name: str) -> None:
    function, arrays = CASES[name]
    check_gradients(function, *arrays, order=2)


def test_powers_of_zero_have_the_gradients_of_polynomials() -> None:
    base, exponent = Tensor(np.zeros(4, np.float32)), Tensor(np.array([0, 1, 2, 3], np.float32))
    with Tape() as tape:
        tape.watch(base)
        y = base**exponent
    assert tape.gradient(y, [base])[0].numpy().tolist() == [0, 1, 0, 0]


def test_only_structural_zeros_are_known_as_zeros() -> None:
    like = Tensor(np.ones((2, 3), np.float32))
    assert is_zero(full_like(like, 0.0))
    assert not is_zero(full_like(like, 1.0))
    assert not is_zero(Tensor(np.zeros((2, 3), np.float32)))


def test_a_decomposed_gradient_tells_apart_one_value_given_twice() -> None:
    x = Tensor(np.array([3.0, 4.0]))
    one = Tensor(np.ones(2))
    left, right = differentiate(lambda a, b: a * a * b, [True, True], [one], [x, x])
    assert left.numpy().tolist() == [18, 32]
    assert right.numpy().tolist() == [9, 16]


@pytest.mark.parametrize("key", [(1,), (1, 2), (slice(None), 2), (0, None, slice(3, 0, -1))])
def test_indexing_gives_views(key: Any) -> None:
    x = SIGNED.copy()
    view = Tensor(x)[key].array
    x[...] = 5
    assert (view == 5).all()
