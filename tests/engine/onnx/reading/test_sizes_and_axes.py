"""The arithmetic of free lengths, and of the order of axes."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from engine.onnx import axes
from engine.onnx.sizes import Size, UnknownSizeError

N = Size("batch")


def test_sizes_are_linear_in_their_length() -> None:
    assert 2 * N + 3 == N + 3 + N
    assert (2 * N + 4) // 2 == N + 2
    assert N - N == 0
    assert isinstance(N - N, int)
    assert 5 - N == -N + 5
    assert (6 * N) // (2 * N) == 3
    assert (4 * N + 3) % 2 == 1
    assert 0 * N == 0
    assert repr(2 * N - 1) == "2·batch-1"


def test_what_cannot_be_said_of_a_length_is_an_error() -> None:
    other = Size("time")
    for wrong in (
        lambda: N + other,
        lambda: N * N,
        lambda: (2 * N + 1) // 2,
        lambda: N // other,
        lambda: 6 // N,
        lambda: N % 2,
        lambda: N < 3,
        lambda: int(N),
        lambda: bool(N),
        lambda: range(N),
    ):
        with pytest.raises(UnknownSizeError):
            wrong()


def test_a_free_length_equals_no_number_and_itself() -> None:
    assert N != 1
    assert Size("time") != N
    assert len({N, Size("batch"), N + 1}) == 2
    assert (np.asarray([N, 3], object) == np.asarray([Size("batch"), 3], object)).all()


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_orders_say_what_transposes_do(order: tuple[int, ...]) -> None:
    theirs = np.arange(120).reshape(2, 3, 4, 5)
    ours = theirs.transpose(order)
    assert axes.ordered(theirs.shape, order) == ours.shape
    np.testing.assert_array_equal(ours.transpose(axes.inverse(order)), theirs)
    last = axes.channels_last(4)
    np.testing.assert_array_equal(ours.transpose(axes.between(order, last)), theirs.transpose(0, 2, 3, 1))
    turned = (3, 0, 2, 1)
    np.testing.assert_array_equal(theirs.transpose(turned).transpose(axes.transposed(order, turned)), ours)
    dropped = theirs[:, 1]
    np.testing.assert_array_equal(dropped.transpose(axes.without(order, [1])), ours.take(1, order.index(1)))
