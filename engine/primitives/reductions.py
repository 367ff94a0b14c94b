"""Reductions over axes, and running sums.

Axes in options are normalised tuples of ints. Half types accumulate in float32; of several extrema all share the
gradient equally, as in JAX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.dtypes import as_dtype, is_float
from engine.primitives.casting import cast
from engine.primitives.decomposition import differentiate
from engine.primitives.elementwise import divide, equal, multiply
from engine.primitives.primitive import Array, Primitive, Spec, primitive, same_rule
from engine.primitives.shaping import (
    broadcast_to,
    concatenate,
    getitem,
    reduce_sum,
    reduced_shape,
    reduction_rule,
    reshape,
    transpose,
)
from engine.primitives.sums import accumulation_dtype, sum_over
from engine.tensor import full_like

Axes = tuple[int, ...]


def _spread(value: Any, shape: Axes, axes: Axes) -> Any:
    """A reduced value broadcast back to `shape`."""
    return broadcast_to(reshape(value, shape=reduced_shape(shape, axes, True)), shape=shape)


def _count(shape: Axes, axes: Axes) -> int:
    return int(np.prod([shape[axis] for axis in axes], dtype=np.int64))


# Mean ----------------------------------------------------------------------------------------------------------------


def _mean_rule(spec: Spec, axes: Axes, keepdims: bool = False) -> Spec:
    dtype = spec.dtype if is_float(spec.dtype) else as_dtype(None)
    return Spec(reduced_shape(spec.shape, axes, keepdims), dtype)


def _mean_into(inputs: Any, outputs: Any, axes: Axes, keepdims: bool = False) -> None:
    outputs[0][...] = reduce_mean.reference(inputs[0], axes, keepdims)


@primitive(_mean_rule, into=_mean_into)
def reduce_mean(x: Array, axes: Axes, keepdims: bool = False) -> Array:
    """The mean over `axes`; integers give the default float type."""
    if not is_float(x.dtype):
        dtype = as_dtype(None)
        return np.asarray(np.mean(x, axis=axes, keepdims=keepdims, dtype=np.float64)).astype(dtype)
    total = sum_over(x, axes, keepdims)
    return np.asarray(total / total.dtype.type(_count(x.shape, axes))).astype(x.dtype, copy=False)


@reduce_mean.gradient
def _(
    needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axes: Axes, keepdims: bool = False
) -> Any:
    x = inputs[0]
    if not is_float(x.dtype):
        return [None]
    return [_spread(divide(gradients[0], float(_count(x.shape, axes))), x.shape, axes)]


# Extrema and product -------------------------------------------------------------------------------------------------


def _extremum_rule(spec: Spec, axes: Axes, keepdims: bool = False) -> Spec:
    if any(spec.shape[axis] == 0 for axis in axes):
        raise ValueError(f"An extremum over axes {axes} of shape {spec.shape} does not exist: there are no entries.")
    return reduction_rule(spec, axes, keepdims)


def _reduction(ufunc: np.ufunc, name: str, rule: Callable[..., Spec], summary: str) -> Primitive:
    def into(inputs: Any, outputs: Any, axes: Axes, keepdims: bool = False) -> None:
        ufunc.reduce(inputs[0], axis=axes, keepdims=keepdims, out=outputs[0])

    def reference(x: Array, axes: Axes, keepdims: bool = False) -> Array:
        return np.asarray(ufunc.reduce(x, axis=axes, keepdims=keepdims))

    reference.__name__ = name
    reference.__doc__ = summary
    return primitive(rule, into=into)(reference)


reduce_max = _reduction(np.maximum, "reduce_max", _extremum_rule, "The maximum over `axes`; NaN wins.")
reduce_min = _reduction(np.minimum, "reduce_min", _extremum_rule, "The minimum over `axes`; NaN wins.")


def _extremum_gradient(
    needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axes: Axes, keepdims: bool = False
) -> Any:
    x, g = inputs[0], gradients[0]
    chosen = cast(equal(x, _spread(outputs[0], x.shape, axes)), dtype=x.dtype.name)
    share = divide(g, reduce_sum(chosen, axes=axes, keepdims=keepdims))
    return [multiply(_spread(share, x.shape, axes), chosen)]


reduce_max.gradient(_extremum_gradient)
reduce_min.gradient(_extremum_gradient)


def _prod_into(inputs: Any, outputs: Any, axes: Axes, keepdims: bool = False) -> None:
    outputs[0][...] = np.prod(inputs[0], axis=axes, keepdims=keepdims, dtype=accumulation_dtype(inputs[0].dtype))


@primitive(reduction_rule, into=_prod_into)
def reduce_prod(x: Array, axes: Axes, keepdims: bool = False) -> Array:
    """The product over `axes`, in the input's dtype."""
    wide = accumulation_dtype(x.dtype)
    return np.asarray(np.prod(x, axis=axes, keepdims=keepdims, dtype=wide)).astype(x.dtype, copy=False)


@reduce_prod.gradient
def _(
    needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axes: Axes, keepdims: bool = False
) -> Any:
    shape = inputs[0].shape
    kept = tuple(axis for axis in range(len(shape)) if axis not in axes)

    def halving(x: Any) -> Any:
        # Multiplying one half by the other until one entry is left never divides: exact where entries are zero.
        x = reshape(transpose(x, axes=(*kept, *axes)), shape=(*(shape[axis] for axis in kept), _count(shape, axes)))
        every = tuple((0, length, 1) for length in x.shape[:-1])
        while (length := x.shape[-1]) != 1:
            if length % 2:
                x = concatenate(x, full_like(getitem(x, key=(*every, (0, 1, 1))), 1.0), axis=x.ndim - 1)
            half = (length + 1) // 2
            x = multiply(getitem(x, key=(*every, (0, half, 1))), getitem(x, key=(*every, (half, 2 * half, 1))))
        return reshape(x, shape=outputs[0].shape)

    if _count(shape, axes) == 0:
        return [full_like(inputs[0], 0.0)]
    return differentiate(halving, needed, gradients, inputs)


# Logic and positions -------------------------------------------------------------------------------------------------


def _logical_rule(spec: Spec, axes: Axes, keepdims: bool = False) -> Spec:
    return Spec(reduced_shape(spec.shape, axes, keepdims), np.dtype(bool))


reduce_any = _reduction(np.logical_or, "reduce_any", _logical_rule, "Whether any entry over `axes` is not zero.")
reduce_all = _reduction(np.logical_and, "reduce_all", _logical_rule, "Whether all entries over `axes` are not zero.")
reduce_any.differentiable = reduce_all.differentiable = False


def _position_rule(spec: Spec, axis: int, keepdims: bool = False) -> Spec:
    return Spec(_extremum_rule(spec, (axis,), keepdims).shape, np.dtype(np.int32))


@primitive(_position_rule, differentiable=False)
def argmax(x: Array, axis: int, keepdims: bool = False) -> Array:
    """The position (int32) of the first maximum along `axis`; the first NaN counts as one."""
    return np.argmax(x, axis=axis, keepdims=keepdims).astype(np.int32)


@primitive(_position_rule, differentiable=False)
def argmin(x: Array, axis: int, keepdims: bool = False) -> Array:
    """The position (int32) of the first minimum along `axis`; the first NaN counts as one."""
    return np.argmin(x, axis=axis, keepdims=keepdims).astype(np.int32)


# Running sums --------------------------------------------------------------------------------------------------------


def _cumsum_into(inputs: Any, outputs: Any, axis: int, reverse: bool = False) -> None:
    x, y = inputs[0], outputs[0]
    if reverse:
        x, y = np.flip(x, axis), np.flip(y, axis)
    y[...] = np.cumsum(x, axis=axis, dtype=accumulation_dtype(x.dtype))


@primitive(same_rule, into=_cumsum_into, inplace=((0, 0),))
def cumsum(x: Array, axis: int, reverse: bool = False) -> Array:
    """The running sum along `axis`, from its end with `reverse`, in the input's dtype."""
    y = np.empty(x.shape, x.dtype)
    _cumsum_into((x,), (y,), axis, reverse)
    return y


@cumsum.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axis: int, reverse: bool = False) -> Any:
    return [cumsum(gradients[0], axis=axis, reverse=not reverse)]
