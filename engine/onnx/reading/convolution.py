"""Convolutions, plain, grouped, depthwise and transposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import layers
from engine.onnx.axes import channels_last
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value

Pairs = tuple[tuple[int, int], ...]

_CONVOLUTIONS = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
_DEPTHWISE = {1: layers.DepthwiseConv1D, 2: layers.DepthwiseConv2D}
_MARGINS = {1: layers.ZeroPadding1D, 2: layers.ZeroPadding2D, 3: layers.ZeroPadding3D}


@operator("Conv")
def convolution(builder: Builder, node: Node) -> Value:
    """ONNX's Conv: kernels (filters, channels / groups, *window) become (*window, channels / groups, filters)."""
    value, kernel = node[0], node.constant(1, "W")
    bias = node.constant(2, "B").reshape(-1) if node.optional(2) is not None else None
    rank = kernel.ndim - 2
    if value.rank != kernel.ndim or rank not in _CONVOLUTIONS:
        node.refuse(f"a convolution of a tensor of rank {value.rank} by kernels of rank {kernel.ndim} is not supported")
    window = kernel.shape[2:]
    if node.get("kernel_shape") not in (None, list(window)):
        raise ValueError(f"its kernel_shape is {node.get('kernel_shape')}, its weights have a window of {window}")
    strides, dilation = window_options(node, "strides", rank), window_options(node, "dilations", rank)
    groups = node.get("group", 1)
    tensor = builder.channels_last(value)
    pads = padding(node, tensor.shape[1:-1], window, strides, dilation)
    tensor, same = _padded(builder, tensor, pads, window, strides, dilation)
    # Keras's layers have either strides or dilation: with both, every position is computed and some are taken.
    taken = strides if max(strides) > 1 and max(dilation) > 1 else None
    options: dict[str, Any] = {
        "padding": "same" if same else "valid",
        "strides": strides if taken is None else 1,
        "dilation_rate": dilation,
        "use_bias": bias is not None,
        "dtype": policy(value.dtype),
        "name": builder.name(),
    }
    weights = kernel.transpose((*range(2, rank + 2), 1, 0))
    channels = tensor.shape[-1]
    layer: Any
    if groups > 1 and groups == channels and kernel.shape[1] == 1 and rank in _DEPTHWISE:
        multiplier = kernel.shape[0] // channels
        layer = _DEPTHWISE[rank](window, depth_multiplier=multiplier, **options)
        weights = weights.reshape((*window, channels, multiplier))
    else:
        layer = _CONVOLUTIONS[rank](kernel.shape[0], window, groups=groups, **options)
    result = builder.layer(layer, tensor, weights=[weights] if bias is None else [weights, bias])
    if taken is not None:
        result = result[(slice(None), *(slice(None, None, stride) for stride in taken))]
    return Value("", result, channels_last(value.rank))


@operator("ScaledConv", domain="beagle")
def scaled_convolution(builder: Builder, node: Node) -> Value:
    """A convolution whose result is scaled and shifted by channel: what patterns write. The weights take it up."""
    kernel, scale = node.constant(1, "W"), node.constant(3, "scale").reshape(-1)
    bias = node.constant(2, "B").reshape(-1) * scale if node.optional(2) is not None else np.zeros_like(scale)
    if node.optional(4) is not None:
        bias = bias + node.constant(4, "offset").reshape(-1)
    scaled = Value("", constant=kernel * scale.reshape(-1, *(1,) * (kernel.ndim - 1)))
    return convolution(builder, node.with_inputs([node[0], scaled, Value("", constant=bias)]))


def _padded(
    builder: Builder,
    tensor: Any,
    pads: Pairs,
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> tuple[Any, bool]:
    """The tensor with zeros around it, unless the layer's own padding "same" adds the same; and whether it does."""
    if not any(map(any, pads)):
        return tensor, False
    if max(strides) > 1 and max(dilation) > 1:
        return margins(builder, tensor, pads), False
    spatial = tensor.shape[1:-1]
    if None not in spatial and pads == same_padding(spatial, window, strides, dilation):
        return tensor, True
    if all(stride == 1 for stride in strides) and pads == same_padding(window, window, strides, dilation):
        return tensor, True  # with strides of 1 the length does not matter
    return margins(builder, tensor, pads), False


def margins(builder: Builder, tensor: Any, pads: Pairs) -> Any:
    """A channels-last tensor with zeros around its spatial axes."""
    if not any(map(any, pads)):
        return tensor
    if any(min(pair) < 0 for pair in pads):
        raise ValueError(f"negative padding is not supported: {pads}")
    name = builder.name("_padding")
    return _MARGINS[len(pads)](pads[0] if len(pads) == 1 else pads, name=name, dtype=policy(tensor.dtype))(tensor)


# Windows -------------------------------------------------------------------------------------------------------------


def window_options(node: Node, name: str, rank: int) -> tuple[int, ...]:
    """Strides or dilations: one for each spatial axis, 1 where they are left out."""
    given = node.get(name) or [1] * rank
    if len(given) != rank or min(given) < 1:
        raise ValueError(f"its {name} must be {rank} integers from 1 on, and are {given}")
    return tuple(given)


def same_padding(
    spatial: Sequence[int], window: Sequence[int], strides: Sequence[int], dilation: Sequence[int], upper: bool = True
) -> Pairs:
    """The padding with which a window of stride s makes ⌈length / s⌉ outputs; an odd zero goes behind if `upper`."""
    pairs = []
    for length, size, stride, rate in zip(spatial, window, strides, dilation, strict=True):
        whole = max(0, (-(-length // stride) - 1) * stride + (size - 1) * rate + 1 - length)
        less, more = whole // 2, whole - whole // 2
        pairs.append((less, more) if upper else (more, less))
    return tuple(pairs)


def padding(
    node: Node,
    spatial: Sequence[int | None],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> Pairs:
    """The zeros before and after each spatial axis, from `pads` or `auto_pad`.

    Raises:
        UnsupportedError: they depend on a free length.
    """
    rank = len(window)
    kind = node.get("auto_pad", "NOTSET")
    if kind in ("SAME_UPPER", "SAME_LOWER"):
        if None in spatial and any(stride > 1 for stride in strides):
            node.refuse(f"auto_pad {kind} of an image of free size is not supported; fix the size")
        lengths = [size if length is None else length for length, size in zip(spatial, window, strict=True)]
        return same_padding(lengths, window, strides, dilation, kind == "SAME_UPPER")
    if kind not in ("NOTSET", "VALID", ""):
        raise ValueError(f"auto_pad {kind!r} is unknown")
    pads = node.get("pads") or [0] * (2 * rank)
    if kind == "VALID":
        pads = [0] * (2 * rank)
    if len(pads) != 2 * rank:
        raise ValueError(f"its pads must be {2 * rank} integers, and are {pads}")
    return tuple(zip(pads[:rank], pads[rank:], strict=True))
