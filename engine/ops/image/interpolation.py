"""Interpolation as matrices: what each place of an axis of one length contributes to each place of another length.

An output at position o of n stands at (o + 1/2) · length / n - 1/2 of the input axis. Kernels weigh the entries by
their distance from it; at the borders the weights of the entries that exist are brought to the sum 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def _triangle(distance: Array) -> Array:
    return np.maximum(1 - distance, 0)


def _cubic(distance: Array) -> Array:
    """Keys's cubic convolution with a = -1/2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))


def _lanczos(radius: int) -> Callable[[Array], Array]:
    def kernel(distance: Array) -> Array:
        return np.where(distance < radius, np.sinc(distance) * np.sinc(distance / radius), 0)

    return kernel


_KERNELS: dict[str, Callable[[Array], Array]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}

METHODS = ("nearest", "area", *_KERNELS)


@lru_cache(maxsize=32)
def weights(length: int, count: int, method: str, antialias: bool) -> Array:
    """The matrix (count, length), float64, that takes an axis of `length` entries to one of `count`.

    Args:
        method: "bilinear", "bicubic", "lanczos3", "lanczos5" or "area" (means over the cells that an output covers).
        antialias: where the axis becomes shorter, the kernel is stretched to the distance of the outputs.
    """
    scale = length / count
    if method == "area":
        start = np.arange(count)[:, None] * scale
        entries = np.arange(length)
        shared = np.minimum(entries + 1, start + scale) - np.maximum(entries, start)
        return np.asarray(np.maximum(shared, 0) / scale)
    positions = (np.arange(count)[:, None] + 0.5) * scale - 0.5
    stretch = max(scale, 1.0) if antialias else 1.0
    matrix = _KERNELS[method](np.abs(positions - np.arange(length)) / stretch)
    return np.asarray(matrix / matrix.sum(1, keepdims=True))
