"""Evaluation: the arithmetic that files do with shapes, on NumPy arrays, of dtype object where sizes are in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.onnx.file import dtype_of
from engine.onnx.reading.constants import part_of_shape
from engine.onnx.reading.node import Node
from engine.onnx.reading.slicing import slices

CONSTANT_LIMIT = 256 << 20
"""Bytes that a constant may have that a file does not bring, but computes."""

Evaluator = Callable[[Node], Any]


def numbered(count: int) -> NDArray[np.int64]:
    """The numbers from 0 on, for tables of places.

    Raises:
        ValueError: there are more than a constant may have.
    """
    if count * 8 > CONSTANT_LIMIT:
        raise ValueError(f"it takes a table of {count} places; {CONSTANT_LIMIT // 8} are allowed")
    return np.arange(count)


_evaluators: dict[str, Evaluator] = {}


def find_evaluator(node: Node) -> Evaluator | None:
    """The function that computes a node whose inputs are all constants; None where there is none for its operator."""
    return _evaluators.get(node.operator) if node.domain == "" else None


def _evaluates(*names: str) -> Callable[[Evaluator], Evaluator]:
    def register(function: Evaluator) -> Evaluator:
        for name in names:
            _evaluators[name] = function
        return function

    return register


def _array(node: Node, index: int) -> NDArray[Any]:
    return node.constant(index, "input")


def _axes(node: Node, index: int) -> list[int] | None:
    """Axes from an input (newer versions) or an attribute."""
    return node.integers(index, "axes") if node.optional(index) is not None else node.get("axes")


@_evaluates("Identity", "Dropout")
def _same(node: Node) -> Any:
    return _array(node, 0)


@_evaluates("Shape")
def _shape(node: Node) -> Any:
    return part_of_shape(node, _array(node, 0).shape).constant


@_evaluates("Size")
def _size(node: Node) -> Any:
    return np.asarray(_array(node, 0).size, np.int64)


@_evaluates("Cast")
def _cast(node: Node) -> Any:
    array = _array(node, 0)
    return array if array.dtype == object else _converted(array, dtype_of(node.get("to", 0), node.label))


def _converted(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(invalid="ignore", over="ignore"):
        return array.astype(dtype)


@_evaluates("Unsqueeze")
def _unsqueeze(node: Node) -> Any:
    axes = _axes(node, 1) or []
    return np.expand_dims(_array(node, 0), tuple(axes))


@_evaluates("Squeeze")
def _squeeze(node: Node) -> Any:
    axes = _axes(node, 1)
    return np.squeeze(_array(node, 0), None if axes is None else tuple(axes))


@_evaluates("Reshape")
def _reshape(node: Node) -> Any:
    array, target = _array(node, 0), node.integers(1, "shape")
    if not node.get("allowzero", 0):
        target = [array.shape[index] if length == 0 else length for index, length in enumerate(target)]
    return array.reshape(target)


@_evaluates("Concat")
def _concat(node: Node) -> Any:
    arrays = [_array(node, index) for index in range(len(node))]
    if any(array.dtype == object for array in arrays):
        arrays = [array.astype(object) for array in arrays]
    return np.concatenate(arrays, node.get("axis", 1))


@_evaluates("Gather")
def _gather(node: Node) -> Any:
    array, indices, axis = _array(node, 0), _array(node, 1), node.get("axis", 0)
    length = array.shape[axis]
    if indices.size and (indices.min() < -length or indices.max() >= length):
        raise ValueError(
            f"its indices go from {indices.min()} to {indices.max()}, but axis {axis} has {length} entries"
        )
    return np.take(array, indices.astype(np.int64), axis)


@_evaluates("Slice")
def _slice(node: Node) -> Any:
    array = _array(node, 0)
    return array[slices(node, array.ndim, array.shape)]


@_evaluates("ConstantOfShape")
def _constant_of_shape(node: Node) -> Any:
    lengths = node.integers(0, "shape")
    value = node.get("value")
    filling = np.zeros(1, np.float32) if value is None else np.ravel(value)
    if any(length < 0 for length in lengths) or math.prod(lengths) * filling.itemsize > CONSTANT_LIMIT:
        raise ValueError(f"it makes a constant of the shape {lengths}; {CONSTANT_LIMIT} bytes are allowed")
    return np.full(lengths, filling[0])


@_evaluates("Range")
def _range(node: Node) -> Any:
    start, limit, step = (_array(node, index).ravel()[0] for index in range(3))
    count = max(0, math.ceil((float(limit) - float(start)) / float(step)))
    if count * 8 > CONSTANT_LIMIT:
        raise ValueError(f"it counts to {count}; {CONSTANT_LIMIT} bytes are allowed")
    return np.arange(start, limit, step, dtype=_array(node, 0).dtype)


def _pairwise(function: Callable[[Any, Any], Any]) -> Evaluator:
    def evaluate(node: Node) -> Any:
        left, right = _array(node, 0), _array(node, 1)
        with np.errstate(all="ignore"):
            return function(left, right)

    return evaluate


def _divided(left: NDArray[Any], right: NDArray[Any]) -> Any:
    if object in (left.dtype, right.dtype):
        return np.floor_divide(left.astype(object), right.astype(object))
    if left.dtype.kind in "iu":  # towards zero, as in C
        if not right.all():
            raise ValueError("it divides by zero")
        quotient = np.floor_divide(left, right)
        return quotient + ((quotient < 0) & (quotient * right != left)).astype(left.dtype)
    return left / right


def _as_objects(function: Callable[[Any, Any], Any]) -> Evaluator:
    """Comparisons, which NumPy would answer by one bool where it does not know the operands."""

    def evaluate(left: NDArray[Any], right: NDArray[Any]) -> Any:
        return np.asarray(function(left, right), bool)

    return _pairwise(evaluate)


_evaluators.update(
    {
        "Add": _pairwise(lambda a, b: a + b),
        "Sub": _pairwise(lambda a, b: a - b),
        "Mul": _pairwise(lambda a, b: a * b),
        "Div": _pairwise(_divided),
        "Equal": _as_objects(lambda a, b: a == b),
        "Greater": _as_objects(lambda a, b: a > b),
        "Less": _as_objects(lambda a, b: a < b),
    }
)


@_evaluates("Where")
def _where(node: Node) -> Any:
    condition, left, right = (_array(node, index) for index in range(3))
    if object in (left.dtype, right.dtype):
        left, right = left.astype(object), right.astype(object)
    return np.where(condition.astype(bool), left, right)


@_evaluates("ReduceProd")
def _product(node: Node) -> Any:
    axes = _axes(node, 1)
    return np.prod(_array(node, 0), None if axes is None else tuple(axes), keepdims=bool(node.get("keepdims", 1)))
