"""Pooling over windows and over everything."""

from __future__ import annotations

from typing import Any

from engine import layers
from engine.layers.extensions import WindowPooling
from engine.onnx.axes import channels_last
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.convolution import Pairs, margins, padding, same_padding, window_options
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value

_MAXIMUM = {1: layers.MaxPooling1D, 2: layers.MaxPooling2D, 3: layers.MaxPooling3D}
_AVERAGE = {1: layers.AveragePooling1D, 2: layers.AveragePooling2D, 3: layers.AveragePooling3D}
GLOBAL_MAXIMUM = {1: layers.GlobalMaxPooling1D, 2: layers.GlobalMaxPooling2D, 3: layers.GlobalMaxPooling3D}
GLOBAL_AVERAGE = {
    1: layers.GlobalAveragePooling1D,
    2: layers.GlobalAveragePooling2D,
    3: layers.GlobalAveragePooling3D,
}


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pooling(builder: Builder, node: Node) -> Value:
    """ONNX's pooling over all spatial axes, which stay with a length of 1."""
    value = node[0]
    kinds: Any = GLOBAL_AVERAGE if "Average" in node.operator else GLOBAL_MAXIMUM
    if value.rank - 2 not in kinds:
        node.refuse(f"global pooling of a tensor of {value.rank} axes is not supported")
    layer = kinds[value.rank - 2](keepdims=True, name=builder.name(), dtype=policy(value.dtype))
    return Value("", layer(builder.channels_last(value)), channels_last(value.rank))


@operator("MaxPool")
def max_pooling(builder: Builder, node: Node) -> Value:
    """ONNX's MaxPool: what is padded never wins."""
    value = node[0]
    if len(node.outputs) > 1 and node.outputs[1]:
        node.refuse("the indices of the maxima are not supported")
    tensor, window, strides, dilation, pads = _windows(builder, node)
    return _pooled(builder, value, tensor, "max", window, strides, dilation, pads)


@operator("AveragePool")
def average_pooling(builder: Builder, node: Node) -> Value:
    """ONNX's AveragePool: what is padded counts where `count_include_pad` says so."""
    value = node[0]
    tensor, window, strides, dilation, pads = _windows(builder, node)
    if node.get("count_include_pad", 0) and any(map(any, pads)):
        # What only `ceil_mode` adds beyond the padding does not count in any case.
        counted = padding(node, tensor.shape[1:-1], window, strides, dilation)
        tensor = margins(builder, tensor, counted)
        pads = tuple((0, after - real) for (_, after), (_, real) in zip(pads, counted, strict=True))
    return _pooled(builder, value, tensor, "average", window, strides, dilation, pads)


def _windows(builder: Builder, node: Node) -> tuple[Any, tuple[int, ...], tuple[int, ...], tuple[int, ...], Pairs]:
    """The tensor with channels last, window, strides, dilations and padding, what `ceil_mode` adds included."""
    value, window = node[0], tuple(node.get("kernel_shape", []))
    rank = len(window)
    if value.rank != rank + 2 or rank not in _MAXIMUM or min(window) < 1:
        raise ValueError(f"it pools a tensor of {value.rank} axes by windows of {window}")
    strides, dilation = window_options(node, "strides", rank), window_options(node, "dilations", rank)
    tensor = builder.channels_last(value)
    spatial = tensor.shape[1:-1]
    if None in spatial and max(dilation) > 1:
        node.refuse(f"pooling with dilations {dilation} of an image of free size is not supported; fix the size")
    reach = tuple((size - 1) * rate + 1 for size, rate in zip(window, dilation, strict=True))
    pads = padding(node, spatial, window, strides, dilation)
    if node.get("ceil_mode", 0) and node.get("auto_pad", "NOTSET") in ("NOTSET", ""):
        if None in spatial:
            node.refuse("ceil_mode on an image of free size is not supported; fix the size")
        pads = tuple(
            (before, after + _extra(length, size, stride, before, after))
            for length, size, stride, (before, after) in zip(spatial, reach, strides, pads, strict=True)
        )
    return tensor, window, strides, dilation, pads


def _extra(length: int, size: int, stride: int, before: int, after: int) -> int:
    """The entries behind the padding that the last window of `ceil_mode` reaches; it must begin before the padding."""
    whole = length + before + after
    count = -(-(whole - size) // stride) + 1
    if (count - 1) * stride >= length + before:
        count -= 1
    return max(0, (count - 1) * stride + size - whole)


def _pooled(
    builder: Builder,
    value: Value,
    tensor: Any,
    function: str,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    pads: Pairs,
) -> Value:
    rank, spatial = len(window), tensor.shape[1:-1]
    kinds: Any = _MAXIMUM if function == "max" else _AVERAGE
    options: dict[str, Any] = {"name": builder.name(), "dtype": policy(value.dtype)}
    layer: Any
    if max(dilation) > 1:
        layer = WindowPooling(function, window, strides, pads, dilation, **options)
    elif not any(map(any, pads)):
        layer = kinds[rank](window, strides, **options)
    elif None not in spatial and pads == same_padding(spatial, window, strides, (1,) * rank):
        layer = kinds[rank](window, strides, "same", **options)
    else:
        layer = WindowPooling(function, window, strides, pads, **options)
    return Value("", layer(tensor), channels_last(value.rank))
