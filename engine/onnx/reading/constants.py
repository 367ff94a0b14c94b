"""Folding: what a node computes from constants alone is computed when the file is read, free lengths included.

The arithmetic that files do with shapes is done on NumPy arrays, of dtype object where there are free lengths in them.
Everything else goes through the operator's own rule, on tensors in place of placeholders.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.onnx.file import dtype_of
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value
from engine.onnx.sizes import Size
from engine.ops.operation import KerasTensor
from engine.tensor import Tensor

if TYPE_CHECKING:
    from engine.onnx.reading.operators import Rule

CONSTANT_LIMIT = 256 << 20
"""Bytes that a constant may have that a file does not bring, but computes."""

Evaluator = Callable[[Node], Any]
_evaluators: dict[str, Evaluator] = {}


def fold(builder: Builder, node: Node, rule: Rule) -> list[Value | None]:
    """The outputs of a node: computed at once where all its inputs are constants, else by its rule."""
    given = [value for value in node.inputs if value is not None]
    if not given or not all(value.is_constant for value in given) or node.operator in _UNFOLDED:
        return [_constant(builder, value) for value in as_list(rule(builder, node))]
    if node.operator in _SPREADING and any(value.is_sizes for value in given):
        return as_list(rule(builder, node))
    evaluate = _evaluators.get(node.operator) if node.domain == "" else None
    if evaluate is not None and (any(value.is_sizes for value in given) or _is_small(given)):
        found = evaluate(node)
        arrays = found if isinstance(found, tuple) else (found,)
        return [Value("", constant=_tidied(np.asarray(array))) for array in arrays]
    return [_constant(builder, value) for value in _computed(builder, node, rule)]


def as_list(results: Value | Sequence[Value | None]) -> list[Value | None]:
    """A rule's results as a list."""
    return [results] if isinstance(results, Value) else list(results)


def _is_small(values: list[Value]) -> bool:
    return sum(value.constant.size for value in values if value.constant is not None) <= 4096


def _computed(builder: Builder, node: Node, rule: Rule) -> list[Value | None]:
    """The rule's results on tensors, after its results on placeholders have shown that they are not too large."""
    inputs = node.inputs
    node.inputs = [
        value and Value(value.name, KerasTensor(value.static_shape, value.dtype), constant=value.constant)
        for value in inputs
    ]
    for value in as_list(rule(builder, node)):
        if value is None:
            continue
        size = math.prod(length or 0 for length in value.static_shape) * value.dtype.itemsize
        if size > CONSTANT_LIMIT:
            raise ValueError(f"it makes a constant of {size} bytes; {CONSTANT_LIMIT} are allowed")
    node.inputs = inputs
    return as_list(rule(builder, node))


def _constant(builder: Builder, value: Value | None) -> Value | None:
    """A value as it is, but as a constant where it has been computed already."""
    if value is None or value.is_constant or not isinstance(value.tensor, Tensor):
        return value
    return Value(value.name, constant=np.asarray(builder.as_file(value)))


def _tidied(array: NDArray[Any]) -> NDArray[Any]:
    """An array of dtype object that holds integers alone, as integers again."""
    if array.dtype != object:
        return array
    if all(isinstance(item, (int, np.integer, bool, np.bool_)) for item in array.ravel()):
        kind = (
            np.bool_ if all(isinstance(item, (bool, np.bool_)) for item in array.ravel()) and array.size else np.int64
        )
        return array.astype(kind)
    return array


# Constants in the file -----------------------------------------------------------------------------------------------


@operator("Constant")
def constant(builder: Builder, node: Node) -> Value:
    """ONNX's Constant: one of its attributes holds the values."""
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        found = node.get(name)
        if found is not None:
            kind = {
                "value_float": np.float32,
                "value_floats": np.float32,
                "value_int": np.int64,
                "value_ints": np.int64,
            }
            array = np.asarray(found, kind[name]) if name in kind else found
            return Value("", constant=builder.widened(array))
    return node.refuse("a constant of strings or a sparse one is not supported")


@operator("Shape")
def shape(builder: Builder, node: Node) -> Value:
    """ONNX's Shape: the lengths of a tensor, free ones as sizes."""
    return _part_of_shape(node, builder.shape(node[0]))


def _part_of_shape(node: Node, lengths: Sequence[Any]) -> Value:
    rank = len(lengths)
    start, end = node.get("start", 0), node.get("end", rank)
    chosen = lengths[slice(*(max(0, min(rank, place + rank if place < 0 else place)) for place in (start, end)))]
    return Value("", constant=as_lengths(chosen))


@operator("Size")
def size(builder: Builder, node: Node) -> Value:
    """ONNX's Size: the number of numbers in a tensor."""
    return Value("", constant=_tidied(np.asarray(math.prod(builder.shape(node[0])), object)))


def as_lengths(lengths: Sequence[Any]) -> NDArray[Any]:
    """Lengths as an array, of dtype object where there are free ones among them."""
    array = np.empty(len(lengths), object)
    array[:] = list(lengths)
    return _tidied(array)


# The arithmetic of shapes --------------------------------------------------------------------------------------------

_UNFOLDED = {"Constant", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "If"}

_SPREADING = {"ConstantOfShape", "Expand", "Range", "Tile"}
"""Operators that make a running value of constants: one that is as long as the input."""


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


@_evaluates("Shape", "Size")
def _shape_of_constant(node: Node) -> Any:
    array = _array(node, 0)
    if node.operator == "Size":
        return np.asarray(array.size)
    start, end = node.get("start", 0), node.get("end", array.ndim)
    return np.asarray(array.shape[start:end], np.int64)


@_evaluates("Identity", "Dropout")
def _same(node: Node) -> Any:
    return _array(node, 0)


@_evaluates("Shape")
def _shape(node: Node) -> Any:
    return _part_of_shape(node, _array(node, 0).shape).constant


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
    return array[slices(node, array.ndim)]


def slices(node: Node, rank: int, lengths: Sequence[Any] = ()) -> tuple[slice, ...]:
    """The ranges that a Slice node takes along each axis.

    Args:
        lengths: of the axes; an end that is the free length of its own axis means everything.

    Raises:
        ValueError: the lists of starts, ends, axes and steps have different lengths, or a step is 0.
    """
    if node.version < 10:
        starts, ends = node.get("starts", []), node.get("ends", [])
        axes, steps = node.get("axes"), None
    else:
        starts, ends = node.integers(1, "starts"), node.constant(2, "ends").ravel().tolist()
        axes = node.integers(3, "axes") if node.optional(3) is not None else None
        steps = node.integers(4, "steps") if node.optional(4) is not None else None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ValueError(f"it slices from {starts} to {ends} along {axes} in steps of {steps}")
    ranges = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not -rank <= axis < rank:
            raise ValueError(f"it slices along axis {axis} of {rank}")
        if isinstance(end, Size):
            end = (1 << 63) - 1 if lengths and end == lengths[axis % rank] else int(end)
        # Going backwards, an end before the first entry is None in Python: -1 would be the last one.
        stop = None if step < 0 and end < -(1 << 31) + 2 else end
        ranges[axis % rank] = slice(start, stop, step)
    return tuple(ranges)


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
