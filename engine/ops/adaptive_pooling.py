"""Adaptive pooling: windows chosen so that the result has a given size, whatever the size of the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from engine.ops.declare import operation
from engine.ops.elementwise import floating
from engine.ops.windows import channels_last, lengths
from engine.primitives import casting, linear, shaping
from engine.primitives.apply import as_value
from engine.primitives.pooling import average_pooling, max_pooling
from engine.primitives.reductions import reduce_max


def _windows(length: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `size` windows begins and ends; neighbours may share an entry."""
    places = np.arange(size + 1) * length
    return places[:-1] // size, -(-places[1:] // size)


def _average_axis(value: Any, axis: int, size: int) -> Any:
    """The mean of each window along an axis: a product with a matrix of shares."""
    length = value.shape[axis]
    starts, ends = _windows(length, size)
    inside = (np.arange(length)[:, None] >= starts) & (np.arange(length)[:, None] < ends)
    shares = casting.cast(as_value((inside / (ends - starts)).astype(np.float32)), dtype=value.dtype.name)
    order = (*(index for index in range(value.ndim) if index != axis), axis)
    product = linear.matmul(shaping.transpose(value, axes=order), shares)
    return shaping.transpose(product, axes=tuple(order.index(index) for index in range(value.ndim)))


def _max_axis(value: Any, axis: int, size: int) -> Any:
    """The maximum of each window along an axis; shorter windows are filled up with their last entry."""
    starts, ends = _windows(value.shape[axis], size)
    widest = int((ends - starts).max())
    places = np.minimum(starts[:, None] + np.arange(widest), ends[:, None] - 1).astype(np.int32)
    gathered = shaping.gather(value, as_value(places), axis=axis)
    return reduce_max(gathered, axes=(axis + 1,), keepdims=False)


def _pool(x: Any, output_size: Any, data_format: str | None, window: Any, along: Callable[..., Any]) -> Any:
    rank = x.ndim - 2
    if rank < 1:
        raise ValueError(f"Adaptive pooling expects a batch, spatial and channel axes. Received: shape {x.shape}")
    sizes = lengths(output_size, rank, "output_size")

    def run(value: Any) -> Any:
        spatial = value.shape[1:-1]
        if all(length % size == 0 for length, size in zip(spatial, sizes, strict=True)):
            shape = tuple(length // size for length, size in zip(spatial, sizes, strict=True))
            return window(value, window=shape, strides=shape, padding=((0, 0),) * rank)
        for axis, size in enumerate(sizes, start=1):
            if value.shape[axis] != size:
                value = along(value, axis, size)
        return value

    return channels_last(x, data_format, run)


@operation("nn", "AdaptiveAveragePool", settings=("output_size", "data_format"))
def adaptive_average_pool(inputs: Any, output_size: int | Sequence[int], data_format: str | None = None) -> Any:
    """The means of windows that give spatial axes of `output_size`; window i is ⌊i·n/size⌋ … ⌈(i+1)·n/size⌉ - 1."""
    return _pool(floating(inputs), output_size, data_format, average_pooling, _average_axis)


@operation("nn", "AdaptiveMaxPool", settings=("output_size", "data_format"))
def adaptive_max_pool(inputs: Any, output_size: int | Sequence[int], data_format: str | None = None) -> Any:
    """The maxima of windows that give spatial axes of `output_size`; windows as for `adaptive_average_pool`."""
    return _pool(as_value(inputs), output_size, data_format, max_pooling, _max_axis)
