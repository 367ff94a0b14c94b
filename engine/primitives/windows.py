"""Windows: where a kernel of some size, stride, dilation and padding meets its input, for convolution and pooling."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import ceil, prod
from typing import NamedTuple

import numpy as np

from engine.primitives.primitive import Array

Lengths = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


class Meeting(NamedTuple):
    """One position of a window: the outputs whose entry there lies inside the input, and those entries.

    Both index arrays of shape (batch, *spatial, …).
    """

    outputs: tuple[slice, ...]
    inputs: tuple[slice, ...]


def output_lengths(spatial: Lengths, window: Lengths, strides: Lengths, padding: Pairs, dilation: Lengths) -> Lengths:
    """How many windows fit along each spatial axis.

    Raises:
        ValueError: the options have another rank than the input, are out of range, or no window fits.
    """
    rank = len(spatial)
    for name, option, least in (("window", window, 1), ("strides", strides, 1), ("dilation", dilation, 1)):
        if len(option) != rank or min(option, default=least) < least:
            raise ValueError(f"Expected {rank} {name} of at least {least} for {rank} spatial axes. Received: {option}")
    if len(padding) != rank or any(len(pair) != 2 or min(pair) < 0 for pair in padding):
        raise ValueError(f"Expected {rank} pairs of paddings of at least 0. Received: {padding}")
    lengths = tuple(
        (length + sum(pair) - (size - 1) * rate - 1) // stride + 1
        for length, size, stride, pair, rate in zip(spatial, window, strides, padding, dilation, strict=True)
    )
    if min(lengths, default=1) < 1:
        raise ValueError(
            f"A window of {window} with dilation {dilation} and padding {padding} does not fit an input whose "
            f"spatial shape is {spatial}."
        )
    return lengths


def _along(length: int, count: int, stride: int, before: int, offset: int) -> tuple[slice, slice]:
    """Outputs o with 0 <= o * stride + offset - before < length, and those inputs."""
    first = min(max(0, ceil((before - offset) / stride)), count)
    last = max(min(count, (length - 1 + before - offset) // stride + 1), first)
    start = first * stride + offset - before
    stop = start + (last - first - 1) * stride + 1 if last > first else start
    return slice(first, last), slice(start, stop, stride) if last > first else slice(0, 0)


@lru_cache(maxsize=256)
def meetings(
    spatial: Lengths, window: Lengths, strides: Lengths, padding: Pairs, dilation: Lengths
) -> tuple[Meeting, ...]:
    """A meeting for each position of the window, in row-major order."""
    counts = output_lengths(spatial, window, strides, padding, dilation)
    every = slice(None)
    result = []
    for position in product(*(range(size) for size in window)):
        pairs = [
            _along(length, count, stride, pair[0], index * rate)
            for length, count, stride, pair, index, rate in zip(
                spatial, counts, strides, padding, position, dilation, strict=True
            )
        ]
        result.append(Meeting((every, *(pair[0] for pair in pairs)), (every, *(pair[1] for pair in pairs))))
    return tuple(result)


@lru_cache(maxsize=64)
def entry_counts(spatial: Lengths, window: Lengths, strides: Lengths, padding: Pairs) -> Array:
    """How many entries of each window lie inside the input, at least 1; shape (*output lengths, 1), float64."""
    ones = (1,) * len(spatial)
    counts = np.zeros((1, *output_lengths(spatial, window, strides, padding, ones)))
    for meeting in meetings(spatial, window, strides, padding, ones):
        counts[meeting.outputs] += 1
    return np.maximum(counts[0], 1)[..., None]


def sliding(x: Array, window: Lengths, strides: Lengths, padding: Pairs, dilation: Lengths) -> Array:
    """All windows of `x` (batch, *spatial, channels), zeros outside it: (batch, *output, *window, channels), a view."""
    spatial = x.shape[1:-1]
    lengths = output_lengths(spatial, window, strides, padding, dilation)
    if any(map(any, padding)):
        padded = np.zeros(
            (x.shape[0], *(n + sum(p) for n, p in zip(spatial, padding, strict=True)), x.shape[-1]), x.dtype
        )
        inside = tuple(slice(pair[0], pair[0] + length) for pair, length in zip(padding, spatial, strict=True))
        padded[(slice(None), *inside)] = x
        x = padded
    steps = x.strides[1:-1]
    return np.lib.stride_tricks.as_strided(
        x,
        (x.shape[0], *lengths, *window, x.shape[-1]),
        (
            x.strides[0],
            *(step * stride for step, stride in zip(steps, strides, strict=True)),
            *(step * rate for step, rate in zip(steps, dilation, strict=True)),
            x.strides[-1],
        ),
        writeable=False,
    )


def batch_chunks(batch: int, bytes_each: int, limit: int = 32 << 20) -> list[slice]:
    """Splits a batch so that temporaries of `bytes_each` an item stay under `limit` bytes."""
    step = max(1, limit // max(1, bytes_each))
    return [slice(start, min(start + step, batch)) for start in range(0, batch, step)]


def volume(lengths: Lengths) -> int:
    """The number of positions."""
    return prod(lengths)
