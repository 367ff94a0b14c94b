"""Reductions: sums, means, extrema, positions of extrema, logical reductions, running sums, norms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.config import epsilon as default_epsilon
from engine.dtypes import as_dtype
from engine.ops.axes import many_axes, one_axis
from engine.ops.declare import operation
from engine.ops.elementwise import boolean, floating
from engine.primitives import casting, shaping
from engine.primitives import elementwise as e
from engine.primitives import reductions as r
from engine.primitives.apply import as_value

Axis = int | Sequence[int] | None


def _summable(x: Any) -> Any:
    """An operand as sums keep it: bools and narrow integers as 32 bits."""
    value = as_value(x)
    if value.dtype.kind in "bi" and value.dtype.itemsize < 4:
        return casting.cast(value, dtype="int32")
    return casting.cast(value, dtype="uint32") if value.dtype.kind == "u" and value.dtype.itemsize < 4 else value


@operation("numpy", "Sum", settings=("axis", "keepdims"))
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum over axes (default: all)."""
    value = _summable(x)
    return shaping.reduce_sum(value, axes=many_axes(axis, value.ndim), keepdims=bool(keepdims))


@operation("numpy", "Mean", settings=("axis", "keepdims"))
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean over axes (default: all)."""
    value = as_value(x)
    return r.reduce_mean(value, axes=many_axes(axis, value.ndim), keepdims=bool(keepdims))


@operation("numpy", "Prod", settings=("axis", "keepdims", "dtype"))
def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """The product over axes (default: all)."""
    value = _summable(x)
    if dtype is not None:
        value = casting.cast(value, dtype=as_dtype(dtype).name)
    return r.reduce_prod(value, axes=many_axes(axis, value.ndim), keepdims=bool(keepdims))


@operation("numpy", "Max", settings=("axis", "keepdims", "initial"))
def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The maximum over axes (default: all), at least `initial`."""
    value = as_value(x)
    result = r.reduce_max(value, axes=many_axes(axis, value.ndim), keepdims=bool(keepdims))
    return result if initial is None else e.maximum(result, initial)


@operation("numpy", "Min", settings=("axis", "keepdims", "initial"))
def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The minimum over axes (default: all), at most `initial`."""
    value = as_value(x)
    result = r.reduce_min(value, axes=many_axes(axis, value.ndim), keepdims=bool(keepdims))
    return result if initial is None else e.minimum(result, initial)


@operation("numpy", "Amax", settings=("axis", "keepdims"))
def amax(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The maximum over axes (default: all)."""
    return max(x, axis, keepdims)


@operation("numpy", "Amin", settings=("axis", "keepdims"))
def amin(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The minimum over axes (default: all)."""
    return min(x, axis, keepdims)


@operation("numpy", "All", settings=("axis", "keepdims"))
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether all entries over axes are true (default: all axes)."""
    value = boolean(x)
    return r.reduce_all(value, axes=many_axes(axis, value.ndim), keepdims=bool(keepdims))


@operation("numpy", "Any", settings=("axis", "keepdims"))
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether some entry over axes is true (default: all axes)."""
    value = boolean(x)
    return r.reduce_any(value, axes=many_axes(axis, value.ndim), keepdims=bool(keepdims))


@operation("numpy", "CountNonzero", settings=("axis",))
def count_nonzero(x: Any, axis: Axis = None) -> Any:
    """The number of entries over axes that are not zero (default: all axes)."""
    return sum(boolean(x), axis)


def _position(primitive: Any, x: Any, axis: int | None, keepdims: bool) -> Any:
    value = as_value(x)
    if axis is None:
        flat = primitive(shaping.reshape(value, shape=(-1,)), axis=0)
        return shaping.reshape(flat, shape=(1,) * value.ndim) if keepdims else flat
    return primitive(value, axis=one_axis(axis, value.ndim), keepdims=bool(keepdims))


@operation("numpy", "Argmax", settings=("axis", "keepdims"))
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The position (int32) of the first maximum along an axis; without one, in the flattened tensor."""
    return _position(r.argmax, x, axis, keepdims)


@operation("numpy", "Argmin", settings=("axis", "keepdims"))
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The position (int32) of the first minimum along an axis; without one, in the flattened tensor."""
    return _position(r.argmin, x, axis, keepdims)


@operation("numpy", "Cumsum", settings=("axis", "dtype"))
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The running sum along an axis; without one, of the flattened tensor."""
    value = _summable(x)
    if dtype is not None:
        value = casting.cast(value, dtype=as_dtype(dtype).name)
    if axis is None:
        return r.cumsum(shaping.reshape(value, shape=(-1,)), axis=0)
    return r.cumsum(value, axis=one_axis(axis, value.ndim))


# Statistics ----------------------------------------------------------------------------------------------------------


@operation("numpy", "Var", settings=("axis", "keepdims"))
def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The variance over axes (default: all): the mean squared distance from the mean."""
    value = floating(x)
    axes = many_axes(axis, value.ndim)
    distance = e.subtract(value, r.reduce_mean(value, axes=axes, keepdims=True))
    return r.reduce_mean(e.square(distance), axes=axes, keepdims=bool(keepdims))


@operation("numpy", "Std", settings=("axis", "keepdims"))
def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The standard deviation over axes (default: all)."""
    return e.sqrt(var(x, axis, keepdims))


@operation("nn", "Moments", settings=("axes", "keepdims", "synchronized"))
def moments(x: Any, axes: Axis, keepdims: bool = False, synchronized: bool = False) -> Any:
    """Mean and variance over axes; `synchronized` concerns several devices and changes nothing on one."""
    return mean(x, axes, keepdims), var(x, axes, keepdims)


@operation("math", "Logsumexp", settings=("axis", "keepdims"))
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """log of the sum of exp over axes (default: all), without overflow."""
    value = floating(x)
    axes = many_axes(axis, value.ndim)
    peak = casting.stop_gradient(r.reduce_max(value, axes=axes, keepdims=True))
    peak = e.where(e.isfinite(peak), peak, 0)
    result = e.add(e.log(shaping.reduce_sum(e.exp(e.subtract(value, peak)), axes=axes, keepdims=True)), peak)
    if keepdims:
        return result
    return shaping.reshape(result, shape=shaping.reduced_shape(value.shape, axes, False))


@operation("linalg", "Norm", settings=("ord", "axis", "keepdims"))
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """The vector norm over axes: Euclidean for `ord` None, 2 or "fro"; 1 and infinities as in NumPy.

    Matrix norms (two axes) other than Euclidean are refused with ValueError.
    """
    value = floating(x)
    axes = many_axes(axis, value.ndim)
    if ord is None or ord == "fro" or (ord == 2 and len(axes) == 1):
        return e.sqrt(sum(e.square(value), axes, keepdims))
    if len(axes) != 1:
        raise ValueError(f"norm() of order {ord!r} goes over one axis. Received: axis={axis}, rank {value.ndim}")
    size = e.absolute(value)
    if ord in (math.inf, -math.inf):
        return (max if ord > 0 else min)(size, axes, keepdims)
    if ord == 0:
        return casting.cast(count_nonzero(value, axes), dtype=value.dtype.name)
    return e.power(sum(e.power(size, ord), axes, keepdims), 1.0 / ord)


@operation("nn", "Normalize", settings=("axis", "order", "epsilon"))
def normalize(x: Any, axis: Axis = -1, order: Any = 2, epsilon: float | None = None) -> Any:
    """x divided by its norm over axes; norms below `epsilon` (default: `keras.config.epsilon()`) count as that."""
    value = floating(x)
    epsilon = default_epsilon() if epsilon is None else epsilon
    if order == 2:
        squares = shaping.reduce_sum(e.square(value), axes=many_axes(axis, value.ndim), keepdims=True)
        return e.divide(value, e.sqrt(e.maximum(squares, epsilon * epsilon)))
    return e.divide(value, e.maximum(norm(value, order, axis, True), epsilon))


@operation("numpy", "Average", settings=("axis",))
def average(x: Any, axis: Axis = None, weights: Any = None) -> Any:
    """The mean over axes (default: all), weighted where weights are given."""
    if weights is None:
        return mean(x, axis)
    value, weights = floating(x), floating(weights)
    if weights.shape != value.shape:
        axes = many_axes(axis, value.ndim)
        if weights.ndim != 1 or len(axes) != 1 or weights.shape[0] != value.shape[axes[0]]:
            raise ValueError(
                f"average() expects weights like x, or one for each entry along a single axis. "
                f"Received: shapes {value.shape} and {weights.shape}, axis={axis}"
            )
        along = tuple(-1 if index == axes[0] else 1 for index in range(value.ndim))
        weights = shaping.broadcast_to(shaping.reshape(weights, shape=along), shape=value.shape)
    return e.divide(sum(e.multiply(value, weights), axis), sum(weights, axis))
