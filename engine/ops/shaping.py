"""Ops that move values: shapes, order of axes, joining, splitting, padding."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.ops.axes import many_axes, one_axis
from engine.ops.declare import operation
from engine.primitives import elementwise as e
from engine.primitives import shaping
from engine.primitives.apply import as_value, promoted

Axis = int | Sequence[int] | None


def _lengths(shape: Any) -> tuple[int, ...]:
    given = shape if isinstance(shape, (list, tuple)) else (shape,)
    if any(length is None for length in given):
        raise ValueError(f"A shape needs integers; -1 stands for the one that follows. Received: {tuple(given)}")
    return tuple(operator.index(length) for length in given)


# Shapes --------------------------------------------------------------------------------------------------------------


@operation("numpy", "Reshape", settings=("newshape",))
def reshape(x: Any, newshape: Any) -> Any:
    """The same values in row-major order under another shape; one length may be -1."""
    return shaping.reshape(x, shape=_lengths(newshape))


@operation("numpy", "Ravel")
def ravel(x: Any) -> Any:
    """The values in one row."""
    return shaping.reshape(x, shape=(-1,))


@operation("numpy", "ExpandDims", settings=("axis",))
def expand_dims(x: Any, axis: Axis) -> Any:
    """New axes of length 1 at positions of the result."""
    value = as_value(x)
    positions = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    places = many_axes(positions, value.ndim + len(positions))
    lengths = iter(value.shape)
    rank = value.ndim + len(places)
    return shaping.reshape(value, shape=tuple(1 if index in places else next(lengths) for index in range(rank)))


@operation("numpy", "Squeeze", settings=("axis",))
def squeeze(x: Any, axis: Axis = None) -> Any:
    """Without axes of length 1 (default: all of them)."""
    value = as_value(x)
    if axis is None:
        dropped = tuple(index for index, length in enumerate(value.shape) if length == 1)
    else:
        dropped = many_axes(axis, value.ndim)
        if any(value.shape[index] != 1 for index in dropped):
            raise ValueError(f"squeeze() expects axes of length 1. Received: axis={axis}, shape {value.shape}")
    return shaping.reshape(value, shape=shaping.reduced_shape(value.shape, dropped, False))


@operation("numpy", "BroadcastTo", settings=("shape",))
def broadcast_to(x: Any, shape: Any) -> Any:
    """x repeated along new axes and axes of length 1."""
    value, lengths = as_value(x), _lengths(shape)
    try:
        fits = np.broadcast_shapes(value.shape, lengths) == lengths
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"A tensor of shape {value.shape} does not broadcast to {lengths}.")
    return value if value.shape == lengths else shaping.broadcast_to(value, shape=lengths)


# Order of axes -------------------------------------------------------------------------------------------------------


@operation("numpy", "Transpose", settings=("axes",))
def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Axes in another order (default: reversed)."""
    value = as_value(x)
    order = tuple(reversed(range(value.ndim))) if axes is None else tuple(one_axis(axis, value.ndim) for axis in axes)
    if sorted(order) != list(range(value.ndim)):
        raise ValueError(f"transpose() expects each axis once. Received: axes={axes}, shape {value.shape}")
    return value if order == tuple(range(value.ndim)) else shaping.transpose(value, axes=order)


@operation("numpy", "Moveaxis", settings=("source", "destination"))
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places; the rest keep their order."""
    value = as_value(x)
    sources = source if isinstance(source, (list, tuple)) else (source,)
    targets = destination if isinstance(destination, (list, tuple)) else (destination,)
    if len(sources) != len(targets):
        raise ValueError(f"moveaxis() expects as many sources as destinations. Received: {source} and {destination}")
    moves = {one_axis(to, value.ndim): one_axis(at, value.ndim) for at, to in zip(sources, targets, strict=True)}
    rest = iter(axis for axis in range(value.ndim) if axis not in moves.values())
    return transpose(value, [moves[place] if place in moves else next(rest) for place in range(value.ndim)])


@operation("numpy", "Swapaxes", settings=("axis1", "axis2"))
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    value = as_value(x)
    order = list(range(value.ndim))
    first, second = one_axis(axis1, value.ndim), one_axis(axis2, value.ndim)
    order[first], order[second] = second, first
    return transpose(value, order)


@operation("numpy", "Flip", settings=("axis",))
def flip(x: Any, axis: Axis = None) -> Any:
    """Entries in reverse along axes (default: all)."""
    value = as_value(x)
    turned = many_axes(axis, value.ndim)
    return value[tuple(builtins.slice(None, None, -1 if index in turned else None) for index in range(value.ndim))]


# Joining and splitting -----------------------------------------------------------------------------------------------


@operation("numpy", "Concatenate", settings=("axis",))
def concatenate(xs: Sequence[Any], axis: int | None = 0) -> Any:
    """Tensors joined along an axis; axis None joins them flattened."""
    values = promoted(tuple(xs))
    if axis is None:
        return shaping.concatenate(*(shaping.reshape(value, shape=(-1,)) for value in values), axis=0)
    return shaping.concatenate(*values, axis=one_axis(axis, values[0].ndim))


@operation("numpy", "Stack", settings=("axis",))
def stack(x: Sequence[Any], axis: int = 0) -> Any:
    """Tensors of one shape joined along a new axis."""
    values = promoted(tuple(x))
    if any(value.shape != values[0].shape for value in values):
        raise ValueError(f"stack() expects tensors of one shape. Received: {[value.shape for value in values]}")
    place = one_axis(axis, values[0].ndim + 1)
    return shaping.concatenate(*(expand_dims(value, place) for value in values), axis=place)


@operation("core", "Unstack", settings=("num", "axis"))
def unstack(x: Any, num: int | None = None, axis: int = 0) -> Any:
    """The list of slices along an axis."""
    value = as_value(x)
    place = one_axis(axis, value.ndim)
    if num is not None and num != value.shape[place]:
        raise ValueError(f"unstack() expects {num} slices along axis {axis}. Received: shape {value.shape}")
    before = (builtins.slice(None),) * place
    return [value[(*before, index)] for index in range(value.shape[place])]


@operation("numpy", "Split", settings=("indices_or_sections", "axis"))
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """The list of parts along an axis: so many equal ones, or cut at the given positions."""
    value = as_value(x)
    place = one_axis(axis, value.ndim)
    length = value.shape[place]
    if isinstance(indices_or_sections, int):
        if indices_or_sections < 1 or length % indices_or_sections:
            raise ValueError(
                f"Axis {axis} of shape {value.shape} cannot be split into {indices_or_sections} equal parts."
            )
        size = length // indices_or_sections
        cuts = list(range(size, length, size)) if size else [0] * (indices_or_sections - 1)
    else:
        cuts = [operator.index(cut) for cut in indices_or_sections]
    before = (builtins.slice(None),) * place
    return [value[(*before, builtins.slice(a, b))] for a, b in zip([0, *cuts], [*cuts, length], strict=True)]


@operation("numpy", "Repeat", settings=("repeats", "axis"))
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each entry along an axis several times in a row; without an axis, of the flattened tensor."""
    value = as_value(x)
    if axis is None:
        value, axis = shaping.reshape(value, shape=(-1,)), 0
    place = one_axis(axis, value.ndim)
    return shaping.gather(value, as_value(np.repeat(np.arange(value.shape[place]), np.asarray(repeats))), axis=place)


@operation("numpy", "Tile", settings=("repeats",))
def tile(x: Any, repeats: Any) -> Any:
    """The whole tensor several times along each axis."""
    value, counts = as_value(x), _lengths(repeats)
    rank = builtins.max(value.ndim, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    lengths = (1,) * (rank - value.ndim) + value.shape
    paired = shaping.reshape(value, shape=tuple(part for length in lengths for part in (1, length)))
    spread = tuple(part for count, length in zip(counts, lengths, strict=True) for part in (count, length))
    whole = tuple(count * length for count, length in zip(counts, lengths, strict=True))
    return shaping.reshape(shaping.broadcast_to(paired, shape=spread), shape=whole)


@operation("numpy", "Roll", settings=("shift", "axis"))
def roll(x: Any, shift: Any, axis: Axis = None) -> Any:
    """Entries moved along axes, those that leave coming in at the other end; without axes, of the flattened tensor."""
    value = as_value(x)
    if axis is None:
        return shaping.reshape(roll(shaping.reshape(value, shape=(-1,)), shift, 0), shape=value.shape)
    axes = axis if isinstance(axis, (list, tuple)) else (axis,)
    shifts = shift if isinstance(shift, (list, tuple)) else (shift,) * len(axes)
    for place, amount in zip((one_axis(item, value.ndim) for item in axes), shifts, strict=True):
        length = value.shape[place]
        cut = -amount % length if length else 0
        if cut:
            before = (builtins.slice(None),) * place
            parts = value[(*before, builtins.slice(cut, None))], value[(*before, builtins.slice(None, cut))]
            value = shaping.concatenate(*parts, axis=place)
    return value


# Padding -------------------------------------------------------------------------------------------------------------


def _widths(pad_width: Any, rank: int) -> tuple[tuple[int, int], ...]:
    try:
        spread = np.broadcast_to(np.asarray(pad_width, dtype=np.int64), (rank, 2))
    except ValueError:
        raise ValueError(f"pad() expects (before, after) for each of {rank} axes. Received: {pad_width}") from None
    return tuple((int(before), int(after)) for before, after in spread)


@operation("numpy", "Pad", settings=("pad_width", "mode"))
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """x with entries added around it: constants (default 0), or "reflect", "symmetric" or "edge" copies."""
    value = as_value(x)
    widths = _widths(pad_width, value.ndim)
    if mode == "constant":
        return shaping.pad(value, widths=widths, value=0.0 if constant_values is None else float(constant_values))
    if constant_values is not None:
        raise ValueError(f"pad() takes constant_values only in mode 'constant'. Received: mode={mode!r}")
    if mode not in ("reflect", "symmetric", "edge"):
        raise ValueError(f"pad() knows the modes 'constant', 'reflect', 'symmetric', 'edge'. Received: {mode!r}")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            places = np.pad(np.arange(value.shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
            value = shaping.gather(value, as_value(places), axis=axis)
    return value


# Triangles ---------------------------------------------------------------------------------------------------------


def _band(value: Any, keep: Any) -> Any:
    if value.ndim < 2:
        raise ValueError(f"tril() and triu() expect matrices. Received: shape {value.shape}")
    rows, columns = value.shape[-2:]
    return e.where(as_value(keep(rows, columns)), value, 0)


@operation("numpy", "Tril", settings=("k",))
def tril(x: Any, k: int = 0) -> Any:
    """Matrices with zeros above the k-th diagonal."""
    return _band(as_value(x), lambda rows, columns: np.tri(rows, columns, k, dtype=bool))


@operation("numpy", "Triu", settings=("k",))
def triu(x: Any, k: int = 0) -> Any:
    """Matrices with zeros below the k-th diagonal."""
    return _band(as_value(x), lambda rows, columns: ~np.tri(rows, columns, k - 1, dtype=bool))


def size(x: Any) -> int:
    """The number of entries."""
    return math.prod(x.shape if hasattr(x, "shape") else np.shape(x))
