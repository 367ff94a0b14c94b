"""Primitives that move values without computing: views, broadcasting and its transpose (the sum), padding, joining.

Axes in options are always normalised: tuples of ints in 0..ndim-1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.primitives.primitive import Array, Spec, primitive, same_rule
from engine.primitives.sums import sum_over, sums_by_index


def _view_rule(function: Any) -> Any:
    """A rule that asks the reference itself, on an array without memory."""

    def rule(spec: Spec, **options: Any) -> Spec:
        stand_in = np.broadcast_to(np.empty((), spec.dtype), spec.shape)
        return Spec(function(stand_in, **options).shape, spec.dtype)

    return rule


# Views -------------------------------------------------------------------------------------------------------------


def _reshape_rule(spec: Spec, shape: tuple[int, ...]) -> Spec:
    size = math.prod(spec.shape)
    known = math.prod(length for length in shape if length != -1)
    free = shape.count(-1)
    if free > 1 or (free == 0 and known != size) or (free == 1 and (known == 0 or size % known)):
        raise ValueError(f"Cannot reshape an array of shape {spec.shape} into shape {shape}.")
    return Spec(tuple(size // known if length == -1 else length for length in shape), spec.dtype)


@primitive(_reshape_rule, view=True)
def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """The same values in row-major order under another shape; one length may be -1."""
    return x.reshape(shape)


@reshape.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, shape: Any) -> Any:
    return [reshape(gradients[0], shape=inputs[0].shape)]


def _permute(x: Array, axes: tuple[int, ...]) -> Array:
    return np.transpose(x, axes)


@primitive(_view_rule(_permute), view=True)
def transpose(x: Array, axes: tuple[int, ...]) -> Array:
    """Axes in another order."""
    return _permute(x, axes)


@transpose.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axes: tuple[int, ...]) -> Any:
    return [transpose(gradients[0], axes=tuple(int(axis) for axis in np.argsort(axes)))]


def _index(x: Array, key: tuple[Any, ...]) -> Array:
    parts = (slice(*part) if isinstance(part, tuple) else None if part == "new" else part for part in key)
    return x[(*parts, ...)]  # with an ellipsis a single entry is a view as well, not a copy


@primitive(_view_rule(_index), view=True)
def getitem(x: Array, key: tuple[Any, ...]) -> Array:
    """Basic indexing. Each part of `key` is an int, a (start, stop, step) tuple or "new" for a new axis."""
    return _index(x, key)


@getitem.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, key: tuple[Any, ...]) -> Any:
    return [put(gradients[0], shape=inputs[0].shape, key=key)]


def _put_rule(spec: Spec, shape: tuple[int, ...], key: tuple[Any, ...]) -> Spec:
    return Spec(shape, spec.dtype)


def _put_into(inputs: Sequence[Array], outputs: Sequence[Array], shape: tuple[int, ...], key: Any) -> None:
    outputs[0][...] = 0
    _index(outputs[0], key)[...] = inputs[0]


@primitive(_put_rule, into=_put_into)
def put(x: Array, shape: tuple[int, ...], key: tuple[Any, ...]) -> Array:
    """Zeros of `shape` with `x` at `key`: the transpose of `getitem`."""
    result = np.zeros(shape, x.dtype)
    _index(result, key)[...] = x
    return result


@put.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, shape: Any, key: Any) -> Any:
    return [getitem(gradients[0], key=key)]


# Broadcasting and the sum, each other's transposes -------------------------------------------------------------------


@primitive(lambda spec, shape: Spec(shape, spec.dtype), view=True)
def broadcast_to(x: Array, shape: tuple[int, ...]) -> Array:
    """`x` repeated along new and unit axes, by NumPy's rules."""
    return np.broadcast_to(x, shape)


@broadcast_to.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, shape: Any) -> Any:
    return [unbroadcast(gradients[0], inputs[0].shape)]


def reduced_shape(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """The shape after a reduction over `axes`."""
    if keepdims:
        return tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    return tuple(length for axis, length in enumerate(shape) if axis not in axes)


def reduction_rule(spec: Spec, axes: tuple[int, ...], keepdims: bool = False) -> Spec:
    """One output of the input's dtype, reduced over `axes`."""
    return Spec(reduced_shape(spec.shape, axes, keepdims), spec.dtype)


def _sum_into(inputs: Sequence[Array], outputs: Sequence[Array], axes: tuple[int, ...], keepdims: bool = False) -> None:
    outputs[0][...] = sum_over(inputs[0], axes, keepdims)


@primitive(reduction_rule, into=_sum_into)
def reduce_sum(x: Array, axes: tuple[int, ...], keepdims: bool = False) -> Array:
    """The sum over `axes`, in the input's dtype; half types accumulate in float32."""
    return sum_over(x, axes, keepdims).astype(x.dtype, copy=False)


@reduce_sum.gradient
def _(
    needed: Any,
    gradients: Any,
    outputs: Any,
    inputs: Any,
    residuals: Any,
    axes: tuple[int, ...],
    keepdims: bool = False,
) -> Any:
    shape = inputs[0].shape
    return [broadcast_to(reshape(gradients[0], shape=reduced_shape(shape, axes, True)), shape=shape)]


def unbroadcast(gradient: Any, shape: tuple[int, ...]) -> Any:
    """Sums a gradient over the axes along which a value of `shape` was broadcast."""
    if gradient.shape == shape:
        return gradient
    extra = len(gradient.shape) - len(shape)
    axes = tuple(range(extra)) + tuple(
        axis + extra for axis, length in enumerate(shape) if length == 1 and gradient.shape[axis + extra] != 1
    )
    summed = reduce_sum(gradient, axes=axes) if axes else gradient
    return summed if summed.shape == shape else reshape(summed, shape=shape)


# Filling, padding, joining -------------------------------------------------------------------------------------------


@primitive(same_rule, differentiable=False)
def fill(x: Array, value: float) -> Array:
    """`value` in the shape and dtype of `x`."""
    return np.full(x.shape, value, x.dtype)


def _pad_rule(spec: Spec, widths: tuple[tuple[int, int], ...], value: float = 0.0) -> Spec:
    return Spec(
        tuple(length + before + after for length, (before, after) in zip(spec.shape, widths, strict=True)), spec.dtype
    )


def _pad_into(inputs: Sequence[Array], outputs: Sequence[Array], widths: Any, value: float = 0.0) -> None:
    outputs[0][...] = value
    _index(outputs[0], _inside(inputs[0].shape, widths))[...] = inputs[0]


def _inside(shape: tuple[int, ...], widths: Any) -> tuple[tuple[int, int, int], ...]:
    return tuple((before, before + length, 1) for length, (before, _) in zip(shape, widths, strict=True))


@primitive(_pad_rule, into=_pad_into)
def pad(x: Array, widths: tuple[tuple[int, int], ...], value: float = 0.0) -> Array:
    """`x` with (before, after) constant entries added along each axis."""
    return np.pad(x, widths, constant_values=value)


@pad.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, widths: Any, value: float = 0.0) -> Any:
    return [getitem(gradients[0], key=_inside(inputs[0].shape, widths))]


def _concatenate_rule(*specs: Spec, axis: int) -> Spec:
    first = specs[0].shape
    for spec in specs[1:]:
        if len(spec.shape) != len(first) or any(
            a != b for index, (a, b) in enumerate(zip(spec.shape, first, strict=True)) if index != axis
        ):
            raise ValueError(
                f"Cannot concatenate along axis {axis}: shapes differ elsewhere. "
                f"Received: {', '.join(str(item.shape) for item in specs)}"
            )
    length = sum(spec.shape[axis] for spec in specs)
    return Spec((*first[:axis], length, *first[axis + 1 :]), specs[0].dtype)


def _concatenate_into(inputs: Sequence[Array], outputs: Sequence[Array], axis: int) -> None:
    np.concatenate(inputs, axis=axis, out=outputs[0])


@primitive(_concatenate_rule, promote=True, into=_concatenate_into)
def concatenate(*arrays: Array, axis: int) -> Array:
    """The arrays joined along one axis."""
    return np.concatenate(arrays, axis=axis)


@concatenate.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axis: int) -> Any:
    results, start = [], 0
    for wanted, value in zip(needed, inputs, strict=True):
        stop = start + value.shape[axis]
        key = (*(((0, length, 1)) for length in value.shape[:axis]), (start, stop, 1))
        results.append(getitem(gradients[0], key=key) if wanted else None)
        start = stop
    return results


def _gather_rule(x: Spec, indices: Spec, axis: int, owner: str = "") -> Spec:
    return Spec((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


@primitive(_gather_rule)
def gather(x: Array, indices: Array, axis: int, owner: str = "") -> Array:
    """Entries of `x` along `axis` at integer `indices` (`keras.ops.take`).

    Raises:
        IndexError: an index out of range; names it, the range, and the `owner` of the entries.
    """
    try:
        return np.take(x, indices, axis=axis)
    except IndexError:
        length = x.shape[axis]
        wrong = indices[(indices < -length) | (indices >= length)]
        whose = f"Layer {owner!r}: expected" if owner else "Expected"
        raise IndexError(f"{whose} numbers from 0 to {length - 1}. Received: {wrong.flat[0]}") from None


@gather.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axis: int, owner: str = "") -> Any:
    x, indices = inputs
    return [scatter_add(gradients[0], indices, shape=x.shape, axis=axis), None]


def _scatter_rule(x: Spec, indices: Spec, shape: tuple[int, ...], axis: int) -> Spec:
    return Spec(shape, x.dtype)


@primitive(_scatter_rule)
def scatter_add(x: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Zeros of `shape` to which `x` is added at `indices` along `axis`: the transpose of `gather`."""
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    rows = np.moveaxis(x.reshape(before, indices.size, after), 1, 0).reshape(indices.size, before * after)
    sums = sums_by_index(rows, indices.reshape(-1), shape[axis])
    return np.moveaxis(sums.reshape(shape[axis], before, after), 0, 1).reshape(shape)


@scatter_add.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, shape: Any, axis: int) -> Any:
    return [gather(gradients[0], inputs[1], axis=axis), None]
