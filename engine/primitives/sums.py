"""Sums that keep their digits: half types in float32, long columns in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.primitives.primitive import Array

_BLOCK_ROWS = 512


def accumulation_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Where sums are kept: half types in float32, small integers and bool as they are."""
    return np.dtype(np.float32) if dtype.itemsize == 2 and dtype.kind in "fV" else dtype


def column_sums(matrix: Array) -> Array:
    """The sum of each column of a 2-D array, in its dtype.

    NumPy adds rows one by one: a running float32 sum over a million rows loses four digits. Here long columns are
    added in blocks, and the blocks in float64.
    """
    rows, columns = matrix.shape
    whole = rows - rows % _BLOCK_ROWS
    if whole < 2 * _BLOCK_ROWS or matrix.dtype.kind != "f":
        return np.asarray(matrix.sum(axis=0, dtype=matrix.dtype))
    blocks = matrix[:whole].reshape(-1, _BLOCK_ROWS, columns).sum(axis=1)
    total = blocks.sum(axis=0, dtype=np.float64) + matrix[whole:].sum(axis=0, dtype=np.float64)
    return total.astype(matrix.dtype)


def sum_over(x: Array, axes: tuple[int, ...], keepdims: bool = False) -> Array:
    """The sum over `axes` in `accumulation_dtype`."""
    wide = accumulation_dtype(x.dtype)
    kept = x.ndim - len(axes)
    if axes != tuple(range(len(axes))) or not axes or not kept or not x.flags.c_contiguous or wide.kind != "f":
        return np.asarray(np.sum(x, axis=axes, keepdims=keepdims, dtype=wide))
    # Leading axes, as in the gradient of a bias.
    shape = x.shape[len(axes) :]
    width = int(np.prod(shape, dtype=np.int64))
    rows = x.reshape(x.size // width if width else 0, width).astype(wide, copy=False)
    return column_sums(rows).reshape((1,) * len(axes) * keepdims + shape)


_NARROW = 8  # columns up to which single additions are fastest
_FEW = 4  # rows of one index that are added all indices at a time


def sums_by_index(rows: Array, indices: Array, count: int) -> Array:
    """A matrix of `count` rows, each the sum of the `rows` (n, columns) at whose place its index stands.

    Several times faster than `np.add.at` on wide rows: these are sorted by index first. Half types accumulate in
    float32; indices may be negative, counted from the end.
    """
    wide = rows.astype(accumulation_dtype(rows.dtype), copy=False)
    result = np.zeros((count, rows.shape[1]), wide.dtype)
    if wide.shape[1] <= _NARROW or wide.dtype.kind != "f":
        np.add.at(result, indices, wide)
        return result.astype(rows.dtype, copy=False)
    indices = np.where(indices < 0, indices + count, indices)
    order = np.argsort(indices, kind="stable")
    inside = indices[order]
    starts = np.flatnonzero(np.concatenate(([True], inside[1:] != inside[:-1]))[: len(inside)])
    lengths = np.diff(starts, append=len(inside))
    places = inside[starts]
    seldom = lengths <= _FEW
    for step in range(_FEW):
        some = seldom & (lengths > step)
        result[places[some]] += wide[order[starts[some] + step]]
    often = ~seldom
    for place, start, length in zip(*(array[often].tolist() for array in (places, starts, lengths)), strict=True):
        result[place] = column_sums(wide[order[start : start + length]])
    return result.astype(rows.dtype, copy=False)
