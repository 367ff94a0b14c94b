"""Folding: what a node computes from constants alone is computed when the file is read, free lengths included.

Small arrays, and those with free lengths in them, are computed by `evaluation`. Everything else goes through the
operator's own rule, on tensors in place of placeholders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.onnx.reading.batch import with_declared_batch
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.constants import tidied
from engine.onnx.reading.evaluation import CONSTANT_LIMIT, find_evaluator
from engine.onnx.reading.node import Node
from engine.onnx.reading.value import Value
from engine.ops.operation import KerasTensor
from engine.tensor import Tensor

if TYPE_CHECKING:
    from engine.onnx.reading.operators import Rule

WORK_LIMIT = 10**11
"""Multiplications of constants that one node may ask for."""
_CONTRACTING = frozenset(
    {
        *("Conv", "ConvInteger", "ConvTranspose", "Einsum", "Gemm"),
        *("MatMul", "MatMulInteger", "QLinearConv", "QLinearMatMul"),
    }
)

_UNFOLDED = {"Constant", "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "If"}

_COMPARISONS = {"Equal", "Greater", "Less"}

_SPREADING = {"ConstantOfShape", "Expand", "Range", "Tile"}
"""Operators that make a running value of constants: one that is as long as the input."""


_SMALL = 4096
"""How many numbers, all inputs together, are computed at once; layers do more of them faster."""


def fold(builder: Builder, node: Node, rule: Rule) -> list[Value | None]:
    """The outputs of a node: computed at once where all its inputs are constants, else by its rule."""
    given = [value for value in node.inputs if value is not None]
    if not given or not all(value.is_constant for value in given) or node.operator in _UNFOLDED:
        return [_constant(builder, value) for value in as_list(rule(builder, node))]
    if node.operator in _SPREADING and any(value.is_sizes for value in given):
        return as_list(rule(builder, node))
    evaluate = find_evaluator(node)
    if evaluate is not None and (any(value.is_sizes for value in given) or _is_small(given)):
        found = evaluate(with_declared_batch(builder, node) if node.operator in _COMPARISONS else node)
        arrays = found if isinstance(found, tuple) else (found,)
        builder.claim(sum(np.asarray(array).nbytes for array in arrays))
        return [Value("", constant=tidied(np.asarray(array))) for array in arrays]
    return [_constant(builder, value) for value in _computed(builder, node, rule)]


def as_list(results: Value | Sequence[Value | None]) -> list[Value | None]:
    """A rule's results as a list."""
    return [results] if isinstance(results, Value) else list(results)


def _is_small(values: list[Value]) -> bool:
    return sum(value.constant.size for value in values if value.constant is not None) <= _SMALL


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
        builder.claim(size)
        _check_work(node, math.prod(value.static_shape))  # type: ignore[arg-type]
    node.inputs = inputs
    return as_list(rule(builder, node))


def _check_work(node: Node, outputs: int) -> None:
    """Raises ValueError where products of constants would take minutes: a small file can hold two long vectors."""
    if node.operator in _CONTRACTING and len(node) > 1 and node[1].constant is not None:
        weights = node[1].constant
        work = outputs * weights.size // max(1, *weights.shape)
        if work > WORK_LIMIT:
            raise ValueError(f"it multiplies constants {work} times; {WORK_LIMIT} are allowed")


def _constant(builder: Builder, value: Value | None) -> Value | None:
    """A value as it is, but as a constant where it has been computed already."""
    if value is None or value.is_constant or not isinstance(value.tensor, Tensor):
        return value
    return Value(value.name, constant=np.asarray(builder.as_file(value)))
