"""Convolution, pooling and normalisation (`keras.ops.conv` and its kind)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.config import epsilon as default_epsilon
from engine.ops.axes import many_axes, moved_back, moved_last, one_axis
from engine.ops.creation import full
from engine.ops.declare import operation
from engine.ops.elementwise import floating
from engine.ops.reductions import mean, var
from engine.ops.windows import channels_last, lengths, padding_pairs, transposed_padding
from engine.primitives import casting, shaping
from engine.primitives import elementwise as e
from engine.primitives.apply import as_value
from engine.primitives.convolution import convolution, transposed_convolution
from engine.primitives.layer_normalization import layer_normalization as _normalize_row
from engine.primitives.normalization import batch_normalization as _normalize
from engine.primitives.normalization import batch_normalization_training as _normalize_batch
from engine.primitives.pooling import average_pooling, max_pooling

Lengths = int | Sequence[int]


# Convolution ---------------------------------------------------------------------------------------------------------


@operation("nn", "Conv", settings=("strides", "padding", "data_format", "dilation_rate"))
def conv(
    inputs: Any,
    kernel: Any,
    strides: Lengths = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Lengths = 1,
    bias: Any = None,
) -> Any:
    """Convolution over one, two or three spatial axes.

    Args:
        inputs: (batch, *spatial, channels), or (batch, channels, *spatial) with "channels_first".
        kernel: (*window, channels / groups, filters); the number of groups follows from the channels.
        strides, dilation_rate: one int, or one for each spatial axis.
        padding: "valid", "same", or "causal" for one spatial axis; or pairs of zeros before and after each axis.
        data_format: default: the global one.
        bias: (filters,), added to the result in the same operation.
    """
    x, w = as_value(inputs), as_value(kernel)
    rank = w.ndim - 2
    if x.ndim != w.ndim or rank < 1:
        raise ValueError(f"conv() expects inputs and kernel of equal rank from 3 on. Received: {x.shape} and {w.shape}")
    steps, dilation = lengths(strides, rank, "strides"), lengths(dilation_rate, rank, "dilation_rate")

    def run(value: Any) -> Any:
        channels, each = value.shape[-1], w.shape[-2]
        if each == 0 or channels % each:
            raise ValueError(
                f"conv() expects a number of input channels that the kernel's {each} divide. Received: {channels} "
                f"channels (inputs of shape {x.shape}, kernel of shape {w.shape})"
            )
        pairs = padding_pairs(padding, value.shape[1:-1], w.shape[:-2], steps, dilation)
        operands = (value, w) if bias is None else (value, w, bias)
        return convolution(*operands, strides=steps, padding=pairs, dilation=dilation, groups=channels // each)

    return channels_last(x, data_format, run)


def _depthwise_kernel(kernel: Any) -> Any:
    """(*window, channels, multiplier) as the kernel of a convolution with a group for each channel."""
    *window, channels, multiplier = kernel.shape
    return shaping.reshape(kernel, shape=(*window, 1, channels * multiplier))


@operation("nn", "DepthwiseConv", settings=("strides", "padding", "data_format", "dilation_rate"))
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Lengths = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Lengths = 1,
    bias: Any = None,
) -> Any:
    """Convolution of each channel by kernels of its own: kernel (*window, channels, multiplier); else as `conv`."""
    weights = _depthwise_kernel(as_value(kernel))
    return conv(inputs, weights, strides, padding, data_format, dilation_rate, bias)


@operation("nn", "SeparableConv", settings=("strides", "padding", "data_format", "dilation_rate"))
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Lengths = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Lengths = 1,
    bias: Any = None,
) -> Any:
    """A depthwise convolution, then one of window 1 across the channels: pointwise_kernel (1…, channels, filters)."""
    middle = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(middle, pointwise_kernel, 1, "valid", data_format, 1, bias)


@operation("nn", "ConvTranspose", settings=("strides", "padding", "output_padding", "data_format", "dilation_rate"))
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Lengths = 1,
    padding: str = "valid",
    output_padding: Lengths | None = None,
    data_format: str | None = None,
    dilation_rate: Lengths = 1,
    bias: Any = None,
) -> Any:
    """The transpose of a convolution over one, two or three spatial axes.

    Args:
        inputs: (batch, *spatial, channels), or (batch, channels, *spatial) with "channels_first".
        kernel: (*window, filters, channels).
        strides, dilation_rate: one int, or one for each spatial axis.
        padding: "valid" or "same".
        output_padding: how much longer each axis becomes; default: as long as strides and window ask for.
        data_format: default: the global one.
        bias: (filters,), added to the result in the same operation.
    """
    x, w = as_value(inputs), as_value(kernel)
    rank = w.ndim - 2
    if x.ndim != w.ndim or rank < 1:
        raise ValueError(
            f"conv_transpose() expects inputs and kernel of equal rank from 3 on. Received: {x.shape} and {w.shape}"
        )
    steps, dilation = lengths(strides, rank, "strides"), lengths(dilation_rate, rank, "dilation_rate")
    extra = None if output_padding is None else lengths(output_padding, rank, "output_padding", at_least=0)
    pairs = transposed_padding(padding, w.shape[:-2], steps, dilation, extra)

    def run(value: Any) -> Any:
        reaches = [(size - 1) * step + 1 for size, step in zip(w.shape[:-2], dilation, strict=True)]
        spatial = tuple(
            (length - 1) * step + reach - before - after
            for length, step, reach, (before, after) in zip(value.shape[1:-1], steps, reaches, pairs, strict=True)
        )
        kept = tuple((before, max(after, 0)) for before, after in pairs)
        operands = (value, w) if bias is None else (value, w, bias)
        return transposed_convolution(*operands, spatial=spatial, strides=steps, padding=kept, dilation=dilation)

    return channels_last(x, data_format, run)


# Pooling -------------------------------------------------------------------------------------------------------------


def _pool(primitive: Any, inputs: Any, pool_size: Any, strides: Any, padding: Any, data_format: str | None) -> Any:
    x = as_value(inputs)
    rank = x.ndim - 2
    if rank < 1:
        raise ValueError(f"Pooling expects a batch, spatial and channel axes. Received: shape {x.shape}")
    window = lengths(pool_size, rank, "pool_size")
    steps = window if strides is None else lengths(strides, rank, "strides")

    def run(value: Any) -> Any:
        pairs = padding_pairs(padding, value.shape[1:-1], window, steps, (1,) * rank)
        return primitive(value, window=window, strides=steps, padding=pairs)

    return channels_last(x, data_format, run)


@operation("nn", "MaxPool", settings=("pool_size", "strides", "padding", "data_format"))
def max_pool(
    inputs: Any, pool_size: Lengths, strides: Any = None, padding: Any = "valid", data_format: str | None = None
) -> Any:
    """The maximum of each window. Strides default to the window; padding ("valid", "same" or pairs) never wins."""
    return _pool(max_pooling, inputs, pool_size, strides, padding, data_format)


@operation("nn", "AveragePool", settings=("pool_size", "strides", "padding", "data_format"))
def average_pool(
    inputs: Any, pool_size: Lengths, strides: Any = None, padding: Any = "valid", data_format: str | None = None
) -> Any:
    """The mean of each window. Strides default to the window; padding ("valid", "same" or pairs) does not count."""
    return _pool(average_pooling, floating(inputs), pool_size, strides, padding, data_format)


# Normalisation -------------------------------------------------------------------------------------------------------


def _along_last(x: Any, axis: int) -> tuple[Any, Any]:
    """x with `axis` last, and the function that puts a result back."""
    place = one_axis(axis, x.ndim)
    if place == x.ndim - 1:
        return x, lambda y: y
    moved = shaping.transpose(x, axes=moved_last(x.ndim, place))
    return moved, lambda y: shaping.transpose(y, axes=moved_back(x.ndim, place))


def _or_constant(value: Any, length: int, number: float, dtype: Any) -> Any:
    return full((length,), number, dtype) if value is None else as_value(value)


@operation("nn", "BatchNorm", settings=("axis", "epsilon"))
def batch_normalization(
    x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> Any:
    """(x - mean) / √(variance + epsilon) · scale + offset, with statistics and parameters (n,) along `axis`."""
    value, back = _along_last(floating(x), axis)
    mean, variance = as_value(mean), as_value(variance)
    length = value.shape[-1]
    gamma = _or_constant(scale, length, 1.0, mean.dtype)
    beta = _or_constant(offset, length, 0.0, mean.dtype)
    return back(_normalize(value, mean, variance, gamma, beta, epsilon=float(epsilon)))


def batch_normalization_training(
    x: Any, axis: int, offset: Any = None, scale: Any = None, epsilon: float = 1e-3
) -> tuple[Any, Any, Any]:
    """x normalised by its own mean and variance over all axes but `axis`; also these two, each (n,)."""
    value, back = _along_last(floating(x), axis)
    length = value.shape[-1]
    gamma = _or_constant(scale, length, 1.0, "float32" if value.dtype.itemsize < 4 else value.dtype)
    beta = _or_constant(offset, length, 0.0, gamma.dtype)
    y, mean, variance = _normalize_batch(value, gamma, beta, epsilon=float(epsilon))
    return back(y), mean, variance


@operation("nn", "LayerNorm", settings=("axis", "epsilon", "rms_scaling"))
def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None, rms_scaling: bool = False
) -> Any:
    """x normalised by mean and variance over `axis`, then times gamma plus beta, both of the shape of those axes."""
    value = floating(x)
    axes = many_axes(axis, value.ndim)
    epsilon = float(default_epsilon() if epsilon is None else epsilon)
    if rms_scaling:
        return _scaled_by_deviation(value, gamma, axes, epsilon)
    if sorted(axes) == list(range(value.ndim - len(axes), value.ndim)):
        return _normalize_rows(value, gamma, beta, len(axes), epsilon)
    wide = casting.cast(value, dtype="float32") if value.dtype.itemsize < 4 else value
    spread = e.sqrt(e.add(var(wide, axes, True), epsilon))
    result = e.divide(e.subtract(wide, mean(wide, axes, True)), spread)
    along = tuple(length if index in axes else 1 for index, length in enumerate(value.shape))
    if gamma is not None:
        result = e.multiply(result, shaping.reshape(gamma, shape=along))
    if beta is not None:
        result = e.add(result, shaping.reshape(beta, shape=along))
    return result if result.dtype == value.dtype else casting.cast(result, dtype=value.dtype.name)


def _scaled_by_deviation(value: Any, gamma: Any, axes: tuple[int, ...], epsilon: float) -> Any:
    """x divided by its standard deviation over axes, times gamma: what Keras calls `rms_scaling`."""
    wide = casting.cast(value, dtype="float32") if value.dtype.itemsize < 4 else value
    result = e.divide(wide, e.sqrt(e.add(var(wide, axes, True), epsilon)))
    if gamma is not None:
        along = tuple(length if index in axes else 1 for index, length in enumerate(value.shape))
        result = e.multiply(result, shaping.reshape(gamma, shape=along))
    return result if result.dtype == value.dtype else casting.cast(result, dtype=value.dtype.name)


@operation("nn", "RMSNorm", settings=("axis", "epsilon"))
def rms_normalization(x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Any:
    """x divided by the root of the mean of its squares over `axis`, then times a scale of the shape of those axes."""
    value = floating(x)
    epsilon = float(default_epsilon() if epsilon is None else epsilon)
    wide = casting.cast(value, dtype="float32") if value.dtype.itemsize < 4 else value
    axes = many_axes(axis, value.ndim)
    result = e.divide(wide, e.sqrt(e.add(mean(e.square(wide), axes, True), epsilon)))
    if scale is not None:
        along = tuple(length if index in axes else 1 for index, length in enumerate(value.shape))
        gamma = as_value(scale)
        result = e.multiply(result, shaping.reshape(casting.cast(gamma, dtype=wide.dtype.name), shape=along))
    return result if result.dtype == value.dtype else casting.cast(result, dtype=value.dtype.name)


def _normalize_rows(value: Any, gamma: Any, beta: Any, count: int, epsilon: float) -> Any:
    """Layer normalisation over the last `count` axes."""
    shape = value.shape
    width = math.prod(shape[value.ndim - count :])
    rows = shaping.reshape(value, shape=(*shape[: value.ndim - count], width)) if count != 1 else value
    dtype = "float32" if value.dtype.itemsize < 4 else value.dtype
    scale, offset = (_or_constant(parameter, width, number, dtype) for parameter, number in ((gamma, 1.0), (beta, 0.0)))
    if count != 1:
        scale, offset = shaping.reshape(scale, shape=(width,)), shaping.reshape(offset, shape=(width,))
    result = _normalize_row(rows, scale, offset, epsilon=epsilon)
    return result if count == 1 else shaping.reshape(result, shape=shape)
