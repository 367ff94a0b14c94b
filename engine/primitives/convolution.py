"""Convolution, its two gradients and its transpose, channels last, over any number of spatial axes.

x is (batch, *spatial, channels), w is (*window, channels / groups, filters), padding gives (before, after) for each
spatial axis. As in Keras the window is not flipped. Convolution and its gradients are each other's gradients, so that
gradients of any order are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.primitives.primitive import Array, Spec, primitive
from engine.primitives.shaping import reduce_sum
from engine.primitives.sums import accumulation_dtype, column_sums
from engine.primitives.windows import Lengths, Pairs, batch_chunks, meetings, output_lengths, sliding, volume

# Rules ---------------------------------------------------------------------------------------------------------------


def _output_shape(
    x: Lengths, w: Lengths, strides: Lengths, padding: Pairs, dilation: Lengths, groups: int = 1
) -> tuple[int, ...]:
    """The shape of a convolution's result; raises ValueError naming both shapes where they do not fit."""
    if len(x) < 3 or len(w) != len(x):
        raise ValueError(
            f"Convolution expects an input (batch, *spatial, channels) and a kernel (*window, channels / groups, "
            f"filters) with as many axes. Received: input shape {x}, kernel shape {w}"
        )
    if groups < 1 or x[-1] != w[-2] * groups or w[-1] % groups:
        raise ValueError(
            f"Convolution in {groups} groups of an input of shape {x} expects a kernel over {x[-1]} / {groups} "
            f"channels whose number of filters is a multiple of {groups}. Received: kernel shape {w}"
        )
    return (x[0], *output_lengths(x[1:-1], w[:-2], strides, padding, dilation), w[-1])


def _convolution_rule(x: Spec, w: Spec, *bias: Spec, **options: Any) -> Spec:
    shape = _output_shape(x.shape, w.shape, **options)
    if bias and bias[0].shape != shape[-1:]:
        raise ValueError(f"Convolution to {shape[-1]} filters expects a bias of that length. Received: {bias[0].shape}")
    return Spec(shape, x.dtype)


def _input_gradient_rule(dy: Spec, w: Spec, shape: Lengths, **options: Any) -> Spec:
    _expect_output(dy.shape, _output_shape(shape, w.shape, **options))
    return Spec(shape, dy.dtype)


def _kernel_gradient_rule(x: Spec, dy: Spec, kernel_shape: Lengths, **options: Any) -> tuple[Spec, Spec]:
    _expect_output(dy.shape, _output_shape(x.shape, kernel_shape, **options))
    return Spec(kernel_shape, x.dtype), Spec(kernel_shape[-1:], x.dtype)


def _transposed_rule(x: Spec, w: Spec, *bias: Spec, spatial: Lengths, **options: Any) -> Spec:
    shape = (x.shape[0], *spatial, w.shape[-2] * options.get("groups", 1))
    expected = _output_shape(shape, w.shape, **options)
    if x.shape != expected:
        raise ValueError(
            f"Transposed convolution to {shape} with a kernel of shape {w.shape} expects an input of {expected}. "
            f"Received: {x.shape}"
        )
    if bias and bias[0].shape != shape[-1:]:
        raise ValueError(
            f"Transposed convolution to {shape[-1]} filters expects a bias of that length. Received: {bias[0].shape}"
        )
    return Spec(shape, x.dtype)


def _expect_output(received: Lengths, expected: Lengths) -> None:
    if received != expected:
        raise ValueError(f"Convolution's gradient expects an output gradient of {expected}. Received: {received}")


# References ----------------------------------------------------------------------------------------------------------


def _grouped_columns(windows: Array, rank: int, groups: int) -> Array:
    """Windows (batch, *output, *window, channels) as matrices (groups, batch·output, window·channels/groups)."""
    channels = windows.shape[-1] // groups
    split = windows.reshape(*windows.shape[:-1], groups, channels)
    rows = volume(windows.shape[: rank + 1])
    columns = volume(windows.shape[rank + 1 : -1]) * channels
    return np.moveaxis(split, -2, 0).reshape(groups, rows, columns)


def _grouped_kernel(w: Array, groups: int) -> Array:
    """(*window, channels/groups, filters) as (groups, window·channels/groups, filters/groups)."""
    return w.reshape(-1, groups, w.shape[-1] // groups).swapaxes(0, 1)


def _grouped_rows(y: Array, groups: int) -> Array:
    """(batch, *output, filters) as (groups, batch·output, filters/groups), a view of contiguous arrays."""
    return y.reshape(volume(y.shape[:-1]), groups, y.shape[-1] // groups).swapaxes(0, 1)


def _bytes_each(output: Lengths, kernel: Lengths, groups: int, dtype: np.dtype[Any]) -> int:
    return volume(output[1:-1]) * volume(kernel[:-1]) * groups * dtype.itemsize


@primitive(_convolution_rule, promote=True)
def convolution(
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    strides: Lengths,
    padding: Pairs,
    dilation: Lengths,
    groups: int = 1,
) -> Array:
    """Convolution of x with w, plus an optional bias (filters,). Half types accumulate in float32."""
    wide = accumulation_dtype(x.dtype)
    rank = x.ndim - 2
    shape = _output_shape(x.shape, w.shape, strides, padding, dilation, groups)
    windows = sliding(x.astype(wide, copy=False), w.shape[:-2], strides, padding, dilation)
    kernel = _grouped_kernel(w.astype(wide, copy=False), groups)
    y = np.empty(shape, wide)
    for part in batch_chunks(shape[0], _bytes_each(shape, w.shape, groups, wide)):
        columns = _grouped_columns(windows[part], rank, groups)
        np.matmul(columns, kernel, out=_grouped_rows(y[part], groups))
    if bias is not None:
        y += bias
    return y.astype(x.dtype, copy=False)


@primitive(_input_gradient_rule)
def convolution_input_gradient(
    dy: Array,
    w: Array,
    shape: Lengths,
    strides: Lengths,
    padding: Pairs,
    dilation: Lengths,
    groups: int = 1,
) -> Array:
    """The gradient with respect to an input of `shape` (batch included): convolution's transpose in x."""
    wide = accumulation_dtype(dy.dtype)
    window, filters = w.shape[:-2], w.shape[-2]
    kernel = _grouped_kernel(w.astype(wide, copy=False), groups).swapaxes(1, 2)
    dx = np.zeros((*shape[:-1], groups, filters), wide)
    places = meetings(shape[1:-1], window, strides, padding, dilation)
    for part in batch_chunks(shape[0], _bytes_each(dy.shape, w.shape, groups, wide)):
        rows = _grouped_rows(np.ascontiguousarray(dy[part], wide), groups)
        columns = np.matmul(rows, kernel).reshape(groups, -1, *dy.shape[1:-1], len(places), filters)
        target = dx[part]
        for position, place in enumerate(places):
            target[place.inputs] += np.moveaxis(columns[..., position, :][(slice(None), *place.outputs)], 0, -2)
    return dx.reshape(shape).astype(dy.dtype, copy=False)


@primitive(_kernel_gradient_rule, outputs=2)
def convolution_kernel_gradient(
    x: Array,
    dy: Array,
    kernel_shape: Lengths,
    strides: Lengths,
    padding: Pairs,
    dilation: Lengths,
    groups: int = 1,
) -> tuple[Array, Array]:
    """The gradients with respect to a kernel of `kernel_shape` and to the bias (filters,)."""
    wide = accumulation_dtype(x.dtype)
    rank = x.ndim - 2
    windows = sliding(x.astype(wide, copy=False), kernel_shape[:-2], strides, padding, dilation)
    dy = np.ascontiguousarray(dy, wide)
    dw = np.zeros((groups, volume(kernel_shape[:-1]), kernel_shape[-1] // groups), wide)
    for part in batch_chunks(x.shape[0], _bytes_each(dy.shape, kernel_shape, groups, wide)):
        columns = _grouped_columns(windows[part], rank, groups)
        dw += np.matmul(columns.swapaxes(1, 2), _grouped_rows(dy[part], groups))
    bias = column_sums(dy.reshape(volume(dy.shape[:-1]), dy.shape[-1]))
    return dw.swapaxes(0, 1).reshape(kernel_shape).astype(x.dtype, copy=False), bias.astype(x.dtype, copy=False)


@primitive(_transposed_rule, promote=True)
def transposed_convolution(
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    spatial: Lengths,
    strides: Lengths,
    padding: Pairs,
    dilation: Lengths,
    groups: int = 1,
) -> Array:
    """What a convolution's gradient with respect to an input (batch, *spatial, filters) is, as an operation of its own.

    w is (*window, filters / groups, channels), the optional bias (filters,); `strides`, `padding` and `dilation` are
    those of the convolution that it transposes. Half types accumulate in float32.
    """
    shape = (x.shape[0], *spatial, w.shape[-2] * groups)
    wide = x.astype(accumulation_dtype(x.dtype), copy=False)
    y = convolution_input_gradient.reference(wide, w, shape, strides, padding, dilation, groups)
    if bias is not None:
        y += bias
    return np.asarray(y.astype(x.dtype, copy=False))


# Gradients -----------------------------------------------------------------------------------------------------------


@convolution.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, **options: Any) -> Any:
    (dy,), (x, w) = gradients, inputs[:2]
    dx = convolution_input_gradient(dy, w, shape=x.shape, **options) if needed[0] else None
    dw = bias = None
    if any(needed[1:]):
        dw, bias = convolution_kernel_gradient(x, dy, kernel_shape=w.shape, **options)
    return [dx, dw, bias][: len(inputs)]


@convolution_input_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, shape: Lengths, **options: Any) -> Any:
    (g,), (dy, w) = gradients, inputs
    return [
        convolution(g, w, **options) if needed[0] else None,
        convolution_kernel_gradient(g, dy, kernel_shape=w.shape, **options)[0] if needed[1] else None,
    ]


@convolution_kernel_gradient.gradient
def _(
    needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, kernel_shape: Lengths, **options: Any
) -> Any:
    (g, g_bias), (x, dy) = gradients, inputs
    return [
        convolution_input_gradient(dy, g, shape=x.shape, **options) if needed[0] else None,
        convolution(x, g, g_bias, **options) if needed[1] else None,
    ]


@transposed_convolution.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, spatial: Lengths, **options: Any) -> Any:
    (g,), (x, w) = gradients, inputs[:2]
    dx = convolution(g, w, **options) if needed[0] else None
    dw = convolution_kernel_gradient(g, x, kernel_shape=w.shape, **options)[0] if needed[1] else None
    by_bias = reduce_sum(g, axes=tuple(range(g.ndim - 1))) if any(needed[2:]) else None
    return [dx, dw, by_bias][: len(inputs)]
