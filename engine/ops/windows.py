"""What convolution and pooling share: strides and windows as users give them, and padding in numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.config import image_data_format
from engine.ops.axes import moved_back, moved_last
from engine.primitives import shaping

Pairs = tuple[tuple[int, int], ...]


def lengths(value: Any, rank: int, name: str, at_least: int = 1) -> tuple[int, ...]:
    """One int, or one for each of `rank` axes, as a tuple; raises ValueError naming the argument."""
    given = (value,) * rank if isinstance(value, int) else value
    if not isinstance(given, (list, tuple)) or len(given) != rank or not all(isinstance(item, int) for item in given):
        raise ValueError(f"`{name}` must be an integer or {rank} of them. Received: {value!r}")
    if any(item < at_least for item in given):
        raise ValueError(f"`{name}` must be at least {at_least}. Received: {value!r}")
    return tuple(given)


def padding_pairs(
    padding: Any,
    spatial: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pairs:
    """(before, after) for each spatial axis.

    "same" gives ceil(length / stride) outputs with the odd entry after; "causal" (one axis) pads before only; pairs,
    one for each axis, are taken as they are.
    """
    if isinstance(padding, (list, tuple)):
        return _given_pairs(padding, len(spatial))
    if padding == "valid":
        return ((0, 0),) * len(spatial)
    if padding == "causal":
        if len(spatial) != 1:
            raise ValueError(f"Causal padding is for one spatial axis. Received: {len(spatial)}")
        return (((window[0] - 1) * dilation[0], 0),)
    if padding != "same":
        raise ValueError(f"`padding` must be 'valid', 'same' or (one axis only) 'causal'. Received: {padding!r}")
    pairs = []
    for length, size, stride, step in zip(spatial, window, strides, dilation, strict=True):
        outputs = -(-length // stride)
        missing = max((outputs - 1) * stride + (size - 1) * step + 1 - length, 0)
        pairs.append((missing // 2, missing - missing // 2))
    return tuple(pairs)


def _given_pairs(padding: Any, rank: int) -> Pairs:
    pairs = tuple(tuple(pair) if isinstance(pair, (list, tuple)) else () for pair in padding)
    if len(pairs) != rank or any(
        len(pair) != 2 or not all(isinstance(item, int) and item >= 0 for item in pair) for pair in pairs
    ):
        raise ValueError(f"`padding` must be {rank} pairs of integers from 0 on. Received: {padding!r}")
    return pairs


def transposed_padding(
    padding: Any,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    output_padding: tuple[int, ...] | None,
) -> Pairs:
    """(before, after) that a transposed convolution cuts off each spatial axis, where a negative number adds zeros.

    Without `output_padding`, "same" makes an axis `stride` times as long, and "valid" at least so long.
    """
    if padding not in ("valid", "same"):
        raise ValueError(f"`padding` must be 'valid' or 'same'. Received: {padding!r}")
    pairs = []
    for axis, (size, stride, step) in enumerate(zip(window, strides, dilation, strict=True)):
        reach = (size - 1) * step + 1
        if output_padding is None:
            cut = reach - stride if padding == "same" else min(reach - stride, 0)
        else:
            cut = (2 * (reach // 2) if padding == "same" else 0) - output_padding[axis]
        before = max(cut, 0) // 2
        pairs.append((before, cut - before))
    return tuple(pairs)


def standard_data_format(data_format: str | None) -> str:
    """A data format, None meaning the global one; raises ValueError on others."""
    data_format = image_data_format() if data_format is None else data_format
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"`data_format` must be 'channels_last' or 'channels_first'. Received: {data_format!r}")
    return data_format


def channels_last(x: Any, data_format: str | None, function: Callable[[Any], Any]) -> Any:
    """`function(x)` on channels-last data whatever the data format; the result is in the format of x."""
    if standard_data_format(data_format) == "channels_last":
        return function(x)
    result = function(shaping.transpose(x, axes=moved_last(x.ndim, 1)))
    return shaping.transpose(result, axes=moved_back(result.ndim, 1))
