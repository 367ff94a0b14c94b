"""Pooling: maximum and average over windows, channels last, over any number of spatial axes.

x is (batch, *spatial, channels); padding gives (before, after) for each spatial axis. Padding never wins a maximum
and does not count in an average.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.primitives.masks import masked
from engine.primitives.primitive import Array, Spec, primitive
from engine.primitives.sums import accumulation_dtype
from engine.primitives.windows import Lengths, Meeting, Pairs, entry_counts, meetings, output_lengths, volume


def index_dtype(window: Lengths) -> np.dtype[Any]:
    """What holds a position inside the window: uint8 up to 255 positions, else int32 (as oneDNN's workspace)."""
    return np.dtype(np.uint8 if volume(window) <= 255 else np.int32)


def _meetings(spatial: Lengths, window: Lengths, strides: Lengths, padding: Pairs) -> tuple[Meeting, ...]:
    return meetings(spatial, window, strides, padding, (1,) * len(window))


# Rules ---------------------------------------------------------------------------------------------------------------


def _pooled_shape(shape: Lengths, window: Lengths, strides: Lengths, padding: Pairs) -> tuple[int, ...]:
    if len(shape) < 3 or len(window) != len(shape) - 2:
        raise ValueError(
            f"Pooling with a window of {window} expects an input (batch, *spatial, channels) with {len(window)} "
            f"spatial axes. Received: shape {shape}"
        )
    return (shape[0], *output_lengths(shape[1:-1], window, strides, padding, (1,) * len(window)), shape[-1])


def _max_rule(x: Spec, **options: Any) -> tuple[Spec, Spec]:
    shape = _pooled_shape(x.shape, **options)
    return Spec(shape, x.dtype), Spec(shape, index_dtype(options["window"]))


def _average_rule(x: Spec, **options: Any) -> Spec:
    return Spec(_pooled_shape(x.shape, **options), x.dtype)


def _gradient_rule(dy: Spec, *indices: Spec, shape: Lengths, **options: Any) -> Spec:
    expected = _pooled_shape(shape, **options)
    for received in (dy, *indices):
        if received.shape != expected:
            raise ValueError(f"Pooling's gradient expects an output gradient of {expected}. Received: {received.shape}")
    return Spec(shape, dy.dtype)


def _gather_rule(x: Spec, indices: Spec, **options: Any) -> Spec:
    return Spec(_pooled_shape(x.shape, **options), x.dtype)


# Maximum -------------------------------------------------------------------------------------------------------------


@primitive(_max_rule, residuals=1)
def max_pooling(x: Array, window: Lengths, strides: Lengths, padding: Pairs) -> tuple[Array, Array]:
    """The maximum of each window; of equal maxima the first in row-major order counts. NaN wins.

    The residual is the position of the maximum inside its window, row-major, padding included.
    """
    shape = _pooled_shape(x.shape, window, strides, padding)
    places = _meetings(x.shape[1:-1], window, strides, padding)
    lowest: Any = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
    values = np.full(shape, lowest, x.dtype)
    indices = np.zeros(shape, index_dtype(window))
    if any(map(any, padding)):
        # An input that is the lowest value everywhere never beats the start: its index is the first one inside.
        for position in reversed(range(len(places))):
            indices[places[position].outputs] = position
    for position, place in enumerate(places):
        candidate, best = x[place.inputs], values[place.outputs]
        better, chosen = candidate > best, indices[place.outputs]
        np.multiply(chosen, ~better, out=chosen)  # arithmetic: selection by branches is twenty times slower
        np.add(chosen, better * chosen.dtype.type(position), out=chosen)
        np.maximum(best, candidate, out=best)
    return values, indices


@primitive(_gradient_rule)
def max_pooling_gradient(
    dy: Array, indices: Array, shape: Lengths, window: Lengths, strides: Lengths, padding: Pairs
) -> Array:
    """Each output gradient added to the entry of an input of `shape` that was its window's maximum."""
    dx = np.zeros(shape, dy.dtype)
    for position, place in enumerate(_meetings(shape[1:-1], window, strides, padding)):
        dx[place.inputs] += masked(dy[place.outputs], indices[place.outputs] == position)
    return dx


@primitive(_gather_rule)
def max_pooling_gather(x: Array, indices: Array, window: Lengths, strides: Lengths, padding: Pairs) -> Array:
    """The entry of each window of `x` at the position in `indices`: the transpose of `max_pooling_gradient`."""
    y = np.zeros(indices.shape, x.dtype)
    for position, place in enumerate(_meetings(x.shape[1:-1], window, strides, padding)):
        y[place.outputs] += masked(x[place.inputs], indices[place.outputs] == position)
    return y


@max_pooling.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, **options: Any) -> Any:
    return [max_pooling_gradient(gradients[0], residuals[0], shape=inputs[0].shape, **options)]


@max_pooling_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, shape: Any, **options: Any) -> Any:
    return [max_pooling_gather(gradients[0], inputs[1], **options), None]


@max_pooling_gather.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, **options: Any) -> Any:
    return [max_pooling_gradient(gradients[0], inputs[1], shape=inputs[0].shape, **options), None]


# Average -------------------------------------------------------------------------------------------------------------


@primitive(_average_rule)
def average_pooling(x: Array, window: Lengths, strides: Lengths, padding: Pairs) -> Array:
    """The mean of the entries of each window that lie inside the input; half types accumulate in float32."""
    spatial = x.shape[1:-1]
    sums = np.zeros(_pooled_shape(x.shape, window, strides, padding), accumulation_dtype(x.dtype))
    for place in _meetings(spatial, window, strides, padding):
        sums[place.outputs] += x[place.inputs]
    return (sums / entry_counts(spatial, window, strides, padding).astype(sums.dtype)).astype(x.dtype, copy=False)


@primitive(_gradient_rule)
def average_pooling_gradient(dy: Array, shape: Lengths, window: Lengths, strides: Lengths, padding: Pairs) -> Array:
    """Each output gradient spread evenly over its window in an input of `shape`."""
    wide = accumulation_dtype(dy.dtype)
    shares = dy.astype(wide, copy=False) / entry_counts(shape[1:-1], window, strides, padding).astype(wide)
    dx = np.zeros(shape, wide)
    for place in _meetings(shape[1:-1], window, strides, padding):
        dx[place.inputs] += shares[place.outputs]
    return dx.astype(dy.dtype, copy=False)


@average_pooling.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, **options: Any) -> Any:
    return [average_pooling_gradient(gradients[0], shape=inputs[0].shape, **options)]


@average_pooling_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, shape: Any, **options: Any) -> Any:
    return [average_pooling(gradients[0], **options)]
