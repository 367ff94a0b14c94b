"""Resampling: images (batch, *space, channels) brought to other lengths in space, and the gradient.

An output at position o of n stands at (o + 1/2) · length / n - 1/2 of an input axis. "nearest" takes the entry whose
cell it lies in, "linear" weighs its two neighbours, the outermost entries going on beyond the border.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from engine.primitives.primitive import Array, Spec, primitive
from engine.primitives.sums import accumulation_dtype

Lengths = tuple[int, ...]

METHODS = ("nearest", "linear")


def _check(spec: Spec, spatial: Lengths, method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"Resampling expects one of the methods {', '.join(METHODS)}. Received: {method!r}")
    if len(spec.shape) < 3 or len(spatial) != len(spec.shape) - 2 or min((*spatial, *spec.shape[1:-1])) < 1:
        raise ValueError(
            "Resampling expects an array (batch, *space, channels) and lengths of at least 1 for each axis of space. "
            f"Received: shape {spec.shape} and lengths {spatial}"
        )


def _rule(spec: Spec, spatial: Lengths, method: str) -> Spec:
    _check(spec, spatial, method)
    return Spec((spec.shape[0], *spatial, spec.shape[-1]), spec.dtype)


def _positions(length: int, count: int) -> Array:
    """Where `count` outputs stand on an axis of `length` entries, in float64."""
    return np.asarray((np.arange(count) + 0.5) * (length / count) - 0.5)


@lru_cache(maxsize=64)
def _nearest(length: int, count: int) -> Array:
    return np.clip(np.floor(_positions(length, count) + 0.5), 0, length - 1).astype(np.intp)


@lru_cache(maxsize=64)
def _neighbours(length: int, count: int) -> tuple[Array, Array, Array]:
    """The entries before and after each output, and the weight of the latter."""
    place = np.clip(_positions(length, count), 0, length - 1)
    before = np.floor(place).astype(np.intp)
    return before, np.minimum(before + 1, length - 1), place - before


@lru_cache(maxsize=64)
def _weights(length: int, count: int, method: str, dtype: np.dtype[Any]) -> Array:
    """The matrix (length, count) that takes gradients of the outputs to gradients of the entries."""
    matrix = np.zeros((length, count), dtype)
    every = np.arange(count)
    if method == "nearest":
        matrix[_nearest(length, count), every] = 1
        return matrix
    before, after, weight = _neighbours(length, count)
    np.add.at(matrix, (before, every), 1 - weight)
    np.add.at(matrix, (after, every), weight)
    return matrix


def _resampled(x: Array, axis: int, count: int, method: str) -> Array:
    length = x.shape[axis]
    if count == length:
        return x
    if method == "nearest":
        return x.take(_nearest(length, count), axis=axis)
    before, after, weight = _neighbours(length, count)
    result, share = x.take(before, axis=axis), x.take(after, axis=axis)
    share -= result
    share *= weight.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - axis - 1))
    result += share
    return result


@primitive(_rule)
def resampling(x: Array, spatial: Lengths, method: str) -> Array:
    """`x` with other lengths in space. Half types are interpolated in float32."""
    y = x if method == "nearest" else x.astype(accumulation_dtype(x.dtype), copy=False)
    for axis, count in enumerate(spatial, 1):
        y = _resampled(y, axis, count, method)
    return y.astype(x.dtype, copy=y is x)


@primitive(_rule)
def resampling_gradient(dy: Array, spatial: Lengths, method: str) -> Array:
    """The gradient with respect to an input whose lengths in space were `spatial`: the transpose of `resampling`."""
    dx = dy.astype(accumulation_dtype(dy.dtype), copy=False)
    for axis, length in enumerate(spatial, 1):
        shape = dx.shape
        matrix = _weights(length, shape[axis], method, dx.dtype)
        rows = dx.reshape(int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 :])))
        dx = np.matmul(matrix, rows).reshape(*shape[:axis], length, *shape[axis + 1 :])
    return dx.astype(dy.dtype, copy=False)


@resampling.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, spatial: Lengths, method: str) -> Any:
    return [resampling_gradient(gradients[0], spatial=tuple(inputs[0].shape[1:-1]), method=method)]


@resampling_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, spatial: Lengths, method: str) -> Any:
    return [resampling(gradients[0], spatial=tuple(inputs[0].shape[1:-1]), method=method)]
