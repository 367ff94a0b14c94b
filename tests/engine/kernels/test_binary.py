"""The kernels of arithmetic on two arrays against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives.dispatch import has_kernel
from engine.primitives.elementwise import add, divide, maximum, minimum, multiply, subtract
from engine.primitives.primitive import Primitive
from tests.engine.kernels.running import check, normal, prepare, run

OPERATIONS = [add, subtract, multiply, divide]
WHOLE = (3, 37, 41, 33)
SECOND = {
    "whole": (3, 37, 41, 33),
    "one number for each example": (3, 1, 1, 1),
    "one for each of its channels": (3, 1, 1, 33),
}

operations = pytest.mark.parametrize("target", OPERATIONS, ids=lambda target: target.name)


@operations
@pytest.mark.parametrize("second", SECOND.values(), ids=list(SECOND))
def test_arithmetic_equals_the_reference(target: Primitive, second: Any) -> None:
    arrays = [normal(*WHOLE), normal(*second, seed=1)]
    check(target, arrays, tolerance=0)
    executable = prepare(target, arrays)
    assert executable is not None
    assert executable.implementation.startswith("jit")


@pytest.mark.parametrize("target", [add, multiply], ids=lambda target: target.name)
def test_the_first_operand_may_be_the_repeated_one(target: Primitive) -> None:
    check(target, [normal(3, 1, 1, 33), normal(*WHOLE, seed=1)], tolerance=0)


@operations
def test_nan_stays_visible_wherever_it_comes_from(target: Primitive) -> None:
    a, b = normal(300, 300), normal(300, 300, seed=1)
    a[1, 2] = b[3, 4] = np.nan
    (result,) = run(target, [a, b])
    assert result is not None
    assert np.argwhere(np.isnan(result)).tolist() == [[1, 2], [3, 4]]


def test_the_result_may_lie_in_the_first_operand() -> None:
    a, b = normal(300, 300), normal(300, 300, seed=1)
    executable = prepare(subtract, [a, b])
    assert executable is not None
    assert list(executable.inplace) == [(0, 0)]
    expected = a - b
    executable.bind([a, b], [a], np.empty(executable.scratch_bytes, np.uint8))()
    np.testing.assert_array_equal(a, expected)


@pytest.mark.parametrize(
    ("a", "b"),
    [((8, 8), (8, 8)), ((512, 512), (512,)), ((512, 512), (1, 512)), ((9, 64, 64, 8), (9, 64, 64, 1))],
    ids=["small", "a number for each channel", "the same with all axes", "a number for each place"],
)
def test_what_numpy_does_as_well_is_left_to_it(a: Any, b: Any) -> None:
    assert prepare(add, [normal(*a), normal(*b)]) is None


def test_other_types_and_what_loses_nan_are_left_to_numpy() -> None:
    for dtype in (np.float64, np.int32):
        assert prepare(add, [np.ones((512, 512), dtype)] * 2) is None
    assert prepare(maximum, [normal(512, 512)] * 2) is None
    assert prepare(minimum, [normal(512, 512)] * 2) is None


def test_eager_operations_on_small_arrays_do_not_ask_the_kernel() -> None:
    small, large = normal(8, 8), normal(512, 512)
    assert has_kernel(add)
    assert not has_kernel(add, [small, small])
    assert has_kernel(add, [normal(512, 1), large])
