"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.primitives.primitive import Array, Spec, primitive
from engine.primitives.shaping import reduce_sum, reshape, transpose, unbroadcast
from engine.primitives.sums import accumulation_dtype


def _matmul_rule(a: Spec, b: Spec, *bias: Spec, transpose_a: bool = False, transpose_b: bool = False) -> Spec:
    left, right = a.shape, b.shape

    def refuse(reason: str) -> ValueError:
        flags = f", transpose_a={transpose_a}, transpose_b={transpose_b}" if transpose_a or transpose_b else ""
        return ValueError(f"Matrix product of shapes {left} and {right}{flags}: {reason}.")

    if not left or not right:
        raise refuse("expected at least one axis on either side")
    if (transpose_a and len(left) == 1) or (transpose_b and len(right) == 1):
        raise refuse("a vector cannot be transposed")
    rows, inner = (left[-1], left[-2]) if transpose_a else (left[-2] if len(left) > 1 else None, left[-1])
    if len(right) == 1:
        other, columns = right[0], None
    else:
        other, columns = (right[-1], right[-2]) if transpose_b else (right[-2], right[-1])
    if inner != other:
        raise refuse(f"the inner lengths {inner} and {other} differ")
    try:
        batch = np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        raise refuse("the batch axes do not broadcast together") from None
    shape = (*batch, *(length for length in (rows, columns) if length is not None))
    if bias and bias[0].shape != (() if columns is None else (columns,)):
        raise refuse(f"expected a bias as long as the last axis of {shape}, received shape {bias[0].shape}")
    return Spec(shape, a.dtype)


def _oriented(x: Array, transposed: bool) -> Array:
    wide = x.astype(accumulation_dtype(x.dtype), copy=False)
    return wide.swapaxes(-1, -2) if transposed else wide


def _matmul_into(inputs: Any, outputs: Any, transpose_a: bool = False, transpose_b: bool = False) -> None:
    a, b = _oriented(inputs[0], transpose_a), _oriented(inputs[1], transpose_b)
    y = outputs[0]
    if y.dtype != a.dtype or y.ndim < 2:
        product: Any = np.matmul(a, b)
        y[...] = product if len(inputs) == 2 else product + inputs[2]
        return
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous and y.flags.c_contiguous:
        # One large product instead of one for each batch.
        a, flat = a.reshape(-1, a.shape[-1]), y.reshape(-1, y.shape[-1])
    else:
        flat = y
    np.matmul(a, b, out=flat)
    if len(inputs) > 2:
        np.add(y, inputs[2], out=y)


@primitive(_matmul_rule, promote=True, into=_matmul_into)
def matmul(
    a: Array, b: Array, bias: Array | None = None, *, transpose_a: bool = False, transpose_b: bool = False
) -> Array:
    """The matrix product of the last two axes, batch axes broadcast, plus an optional bias along the last axis.

    Vectors are taken as in NumPy. `transpose_a` and `transpose_b` swap the last two axes of an operand first. Half
    types accumulate in float32.
    """
    inputs = (a, b) if bias is None else (a, b, bias)
    specs = [Spec(array.shape, array.dtype) for array in inputs]
    shape = _matmul_rule(*specs, transpose_a=transpose_a, transpose_b=transpose_b).shape
    y = np.empty(shape, a.dtype)
    _matmul_into(inputs, (y,), transpose_a, transpose_b)
    return y


@matmul.gradient
def _(
    needed: Any,
    gradients: Any,
    outputs: Any,
    inputs: Any,
    residuals: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> Any:
    (g,), (a, b) = gradients, inputs[:2]
    results: list[Any] = [None, None]
    if needed[0] or needed[1]:
        # Vectors become matrices with one row or column.
        left = reshape(a, shape=(1, *a.shape)) if a.ndim == 1 else a
        right = reshape(b, shape=(*b.shape, 1)) if b.ndim == 1 else b
        inner = g
        if a.ndim == 1 or b.ndim == 1:
            rows = left.shape[-1] if transpose_a else left.shape[-2]
            columns = right.shape[-2] if transpose_b else right.shape[-1]
            batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
            inner = reshape(g, shape=(*batch, rows, columns))
        if needed[0]:
            results[0] = _restored(_left_gradient(inner, right, transpose_a, transpose_b), left, a)
        if needed[1]:
            results[1] = _restored(_right_gradient(inner, left, right, transpose_a, transpose_b), right, b)
    if len(inputs) > 2:
        bias = inputs[2]
        results.append(reduce_sum(g, axes=tuple(range(g.ndim - bias.ndim))) if needed[2] else None)
    return results


def _left_gradient(g: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    if transpose_a:
        return matmul(b, g, transpose_a=transpose_b, transpose_b=True)
    return matmul(g, b, transpose_b=not transpose_b)


def _right_gradient(g: Any, a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    if b.ndim == 2 and a.ndim > 2:
        # The sum over the batch axes is part of one product.
        if transpose_a:
            a = transpose(a, axes=(*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))
        a, g, transpose_a = reshape(a, shape=(-1, a.shape[-1])), reshape(g, shape=(-1, g.shape[-1])), False
    if transpose_b:
        return matmul(g, a, transpose_a=True, transpose_b=transpose_a)
    return matmul(a, g, transpose_a=not transpose_a)


def _restored(gradient: Any, matrix: Any, given: Any) -> Any:
    """A gradient summed over broadcast batch axes, in the shape in which its operand was given."""
    gradient = unbroadcast(gradient, matrix.shape)
    return gradient if given.shape == matrix.shape else reshape(gradient, shape=given.shape)
