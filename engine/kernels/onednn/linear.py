"""Matrix products on oneDNN: two-dimensional and batched, transposed by strides, with a bias."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.kernels.onednn.attributes import Attributes
from engine.kernels.onednn.constants import Argument, Query
from engine.kernels.onednn.executable import Description, OneDnnExecutable, Port
from engine.kernels.onednn.handles import MemoryDescriptor, PrimitiveDescriptor
from engine.kernels.onednn.layouts import declining, is_plain_float, permuted, row_major
from engine.primitives.linear import matmul
from engine.primitives.primitive import Executable, Spec, kernel

# Below this many multiplications NumPy's own call is faster than starting oneDNN's threads.
_SMALLEST = 1 << 18


@kernel(matmul, device="onednn")
@declining
def prepare_matmul(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """a @ b, plus a bias along the last axis where a third input is given."""
    result = outputs[0]
    assert result is not None
    if not all(is_plain_float(spec) for spec in (*inputs, result)):
        return None
    head = describe_matmul(inputs, result, options)
    return None if head is None else OneDnnExecutable(*head, inputs)


def describe_matmul(
    inputs: Sequence[Spec], result: Spec, options: dict[str, Any], attributes: Attributes | None = None
) -> Description | None:
    """A product of (a, b[, bias]) in their data types; None where it is one of vectors, or too small to gain."""
    a, b = inputs[0], inputs[1]
    if len(a.shape) < 2 or len(b.shape) < 2:
        return None
    transpose_a, transpose_b = options.get("transpose_a", False), options.get("transpose_b", False)
    inner = a.shape[-2] if transpose_a else a.shape[-1]
    if math.prod(result.shape) * inner < _SMALLEST:
        return None
    a_shape, b_shape, result_shape = a.shape, b.shape, result.shape
    if len(b_shape) == 2 and not transpose_a:
        # One matrix for the whole batch: a single product of all rows.
        a_shape = (math.prod(a_shape[:-1]), inner)
        result_shape = (a_shape[0], result_shape[-1])
    rank = len(result_shape)
    source = _matrix(a_shape, rank, transpose_a, a.dtype)
    weights = _matrix(b_shape, rank, transpose_b, b.dtype)
    product = row_major(result_shape, result.dtype)
    # Weights that stay are packed once; packing them for every product costs more than it brings.
    lengths = _lengths(b_shape, rank, transpose_b)
    wanted = MemoryDescriptor.any_layout(lengths, b.dtype) if b.constant else weights
    ports = [Port(Argument.SOURCE, 0, source), Port(Argument.WEIGHTS, 1, weights, Query.WEIGHTS)]
    bias = None
    if len(inputs) == 3:
        bias = row_major((1,) * (rank - 1) + inputs[2].shape[-1:], inputs[2].dtype)
        ports.append(Port(Argument.BIAS, 2, bias))
    description = PrimitiveDescriptor("matmul", source, wanted, bias, product, attributes=attributes)
    return Description(description, ports, [Port(Argument.RESULT, 0, product)])


def _matrix(shape: Sequence[int], rank: int, transposed: bool, dtype: np.dtype[Any]) -> MemoryDescriptor:
    full = (1,) * (rank - len(shape)) + tuple(shape)
    return permuted(full, _axes(rank, transposed), dtype)


def _lengths(shape: Sequence[int], rank: int, transposed: bool) -> list[int]:
    full = (1,) * (rank - len(shape)) + tuple(shape)
    return [full[axis] for axis in _axes(rank, transposed)]


def _axes(rank: int, transposed: bool) -> tuple[int, ...]:
    last = (rank - 1, rank - 2) if transposed else (rank - 2, rank - 1)
    return (*range(rank - 2), *last)
