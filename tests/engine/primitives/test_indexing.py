"""Lookups, sorting and limits against NumPy, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.primitives import indexing as i
from engine.primitives import shaping
from engine.primitives.primitive import Spec
from engine.tape import Tape
from engine.tensor import Tensor
from tests.engine.gradient_check import check_gradients


def test_one_hot_marks_indices_and_leaves_others_zero() -> None:
    y = i.one_hot(np.array([[0, 2], [-1, 3]]), depth=3, dtype="bfloat16")
    assert y.dtype.name == "bfloat16"
    assert y.numpy().astype(int).tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]]]
    with pytest.raises(ValueError, match="integer indices"):
        i.one_hot(np.array([0.5]), depth=3, dtype="float32")


@pytest.mark.parametrize(
    ("shape", "indices", "axis"),
    [((3, 4), (3, 2), 1), ((3, 4), (5, 4), 0), ((3, 4), (1, 2), 1), ((1, 4), (3, 2), 1), ((2, 3, 2), (2, 1, 2), 1)],
)
def test_take_along_axis_equals_numpy_and_has_exact_gradients(shape: Any, indices: Any, axis: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    chosen = rng.integers(-shape[axis], shape[axis], size=indices)
    expected = np.take_along_axis(x, chosen, axis)
    y = i.take_along_axis(x, chosen, axis=axis).numpy()
    np.testing.assert_array_equal(y, expected)
    spec = i.take_along_axis.infer([Spec(shape, x.dtype), Spec(indices, chosen.dtype)], {"axis": axis})[0]
    assert spec.shape == expected.shape
    check_gradients(lambda x: i.take_along_axis(x, Tensor(chosen), axis=axis), x, order=2)
    check_gradients(lambda y: i.add_along_axis(y, Tensor(chosen), shape=shape, axis=axis), y)


def test_take_along_axis_refuses_shapes_that_do_not_match() -> None:
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(2, 4\)"):
        i.take_along_axis(np.zeros((3, 4)), np.zeros((2, 4), int), axis=1)


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "bool"])
@pytest.mark.parametrize("axis", [0, 1])
def test_sorting_is_stable_in_both_directions(axis: int, dtype: str) -> None:
    x = np.random.default_rng(3).integers(0, 3, size=(5, 6)).astype(dtype)
    up, down = (i.argsort(x, axis=axis, descending=down).numpy() for down in (False, True))
    np.testing.assert_array_equal(up, np.argsort(x, axis=axis, kind="stable"))
    values = np.take_along_axis(x, down, axis).astype(int)
    assert (np.diff(values, axis=axis) <= 0).all()
    positions = np.diff(down, axis=axis)
    assert (positions[np.diff(values, axis=axis) == 0] > 0).all()
    assert up.dtype == down.dtype == np.int32


def test_top_k_gives_the_largest_first_and_equal_ones_by_position() -> None:
    x = np.array([[1, 5, 3, 5], [0, 0, 0, 0]], np.float32)
    assert i.top_k_indices(x, k=3).numpy().tolist() == [[1, 3, 2], [0, 1, 2]]
    with pytest.raises(ValueError, match="Received: 5"):
        i.top_k_indices(x, k=5)


def test_clip_limits_and_passes_gradients_inside() -> None:
    x = np.array([-2.0, -1, 0.5, 1, 3], np.float32)
    tensor = Tensor(x)
    with Tape() as tape:
        tape.watch(tensor)
        y = i.clip(tensor, minimum=-1.0, maximum=1.0)
    assert y.numpy().tolist() == [-1, -1, 0.5, 1, 1]
    assert tape.gradient(y, [tensor])[0].numpy().tolist() == [0, 1, 1, 1, 0]
    assert i.clip(np.array([5, -5], np.int32), minimum=-1, maximum=1).numpy().tolist() == [1, -1]


@pytest.mark.parametrize(
    ("shape", "axis", "count"),
    [((7, 20), 0, 60), ((7, 20), 0, 0), ((3, 30, 5, 4), 1, 90), ((200, 12), 0, 90), ((9,), 0, 40), ((9, 4), 0, 40)],
)
@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_scattered_sums_equal_numpy(shape: Any, axis: int, count: int, dtype: str) -> None:
    # Some indices often, others seldom or never, and negative ones.
    rng = np.random.default_rng(0)
    indices = np.minimum(rng.geometric(0.3, count) - 1, shape[axis] - 1) - rng.integers(0, 2, count) * shape[axis]
    x = (rng.normal(size=(*shape[:axis], count, *shape[axis + 1 :])) * 9).astype(dtype)
    expected = np.zeros(shape, dtype)
    np.add.at(expected, (*(slice(None),) * axis, indices), x)
    found = shaping.scatter_add(x, indices, shape=shape, axis=axis).numpy()
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_scattered_half_types_add_up_in_float32() -> None:
    x = np.full((3000, 16), 1 / 3, np.float16)
    found = shaping.scatter_add(x, np.zeros(3000, np.int32), shape=(2, 16), axis=0).numpy()
    np.testing.assert_array_equal(found[0], np.float16(3000 * np.float32(np.float16(1 / 3))))
    assert not found[1].any()
