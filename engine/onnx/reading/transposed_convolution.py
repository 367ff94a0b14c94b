"""Transposed convolutions."""

from __future__ import annotations

from typing import Any

from engine import layers, ops
from engine.onnx.axes import channels_last
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.convolution import Pairs, window_options
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value

_LAYERS = {1: layers.Conv1DTranspose, 2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}
_CROPPINGS = {1: layers.Cropping1D, 2: layers.Cropping2D, 3: layers.Cropping3D}


@operator("ConvTranspose")
def transposed_convolution(builder: Builder, node: Node) -> Value:
    """ONNX's ConvTranspose: kernels (channels, filters / groups, *window) become (*window, filters, channels).

    The whole result is computed and its padding cut off; groups are convolved one by one.
    """
    value, kernel = node[0], node.constant(1, "W")
    bias = node.constant(2, "B") if node.optional(2) is not None else None
    rank = kernel.ndim - 2
    if value.rank != kernel.ndim or rank not in _LAYERS:
        node.refuse(f"a convolution of a tensor of rank {value.rank} by kernels of rank {kernel.ndim} is not supported")
    window = kernel.shape[2:]
    if node.get("kernel_shape") not in (None, list(window)):
        raise ValueError(f"its kernel_shape is {node.get('kernel_shape')}, its weights have a window of {window}")
    strides, dilation = window_options(node, "strides", rank), window_options(node, "dilations", rank)
    if max(strides) > 1 and max(dilation) > 1:
        node.refuse(f"strides {strides} together with dilations {dilation} are not supported")
    tensor = builder.channels_last(value)
    extra = tuple(node.get("output_padding") or [0] * rank)
    reaches = [(size - 1) * rate + 1 for size, rate in zip(window, dilation, strict=True)]
    cut = _cut(node, tensor.shape[1:-1], reaches, strides, extra)
    if any(item >= stride for item, stride in zip(extra, strides, strict=True)):
        node.refuse(f"an output_padding of {list(extra)} with strides {list(strides)} is not supported")
    weights = kernel.transpose((*range(2, rank + 2), 1, 0))
    groups = node.get("group", 1)
    options: dict[str, Any] = {
        "strides": strides,
        "dilation_rate": dilation,
        "output_padding": extra,
        "dtype": policy(value.dtype),
    }
    filters, channels = kernel.shape[1], kernel.shape[0] // groups
    parts = [tensor] if groups == 1 else ops.split(tensor, groups, axis=-1)
    results = []
    for index, part in enumerate(parts):
        own = [weights[..., index * channels : (index + 1) * channels]]
        if bias is not None:
            own.append(bias[index * filters : (index + 1) * filters])
        layer = _LAYERS[rank](filters, window, use_bias=bias is not None, name=builder.name(), **options)
        results.append(builder.layer(layer, part, weights=own))
    result = results[0] if groups == 1 else ops.concatenate(results, axis=-1)
    if any(map(any, cut)):
        name = builder.name("_cropping")
        result = _CROPPINGS[rank](cut[0] if rank == 1 else cut, name=name, dtype=policy(value.dtype))(result)
    return Value("", result, channels_last(value.rank))


def _cut(
    node: Node, spatial: tuple[int | None, ...], reaches: list[int], strides: tuple[int, ...], extra: tuple[int, ...]
) -> Pairs:
    """What is cut off before and after each spatial axis, from `pads`, `auto_pad` or `output_shape`."""
    rank = len(reaches)
    kind, shape = node.get("auto_pad", "NOTSET"), node.get("output_shape")
    if kind in ("NOTSET", "", "VALID") and not shape:
        pads = node.get("pads") or [0] * (2 * rank)
        pads = [0] * (2 * rank) if kind == "VALID" else pads
        if len(pads) != 2 * rank or min(pads) < 0:
            raise ValueError(f"its pads must be {2 * rank} integers from 0 on, and are {pads}")
        return tuple(zip(pads[:rank], pads[rank:], strict=True))
    if None in spatial:
        node.refuse("output_shape or auto_pad for an image of free size is not supported; fix the size")
    lengths: Any = spatial
    wanted = shape or [length * stride for length, stride in zip(lengths, strides, strict=True)]
    pairs = []
    for length, reach, stride, more, end in zip(lengths, reaches, strides, extra, wanted[-rank:], strict=True):
        total = (length - 1) * stride + reach + more - end
        if total < 0:
            node.refuse(f"an output of {wanted} is larger than what the convolution makes")
        half = total // 2
        pairs.append((half, total - half) if kind == "SAME_UPPER" else (total - half, half))
    return tuple(pairs)
