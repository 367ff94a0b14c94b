"""Blurring images with a Gaussian window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.ops.declare import operation
from engine.ops.image.batches import in_float, on_batch
from engine.ops.neural import depthwise_conv
from engine.ops.windows import lengths
from engine.primitives import elementwise as e
from engine.primitives import shaping
from engine.primitives.apply import as_value


def _window(size: int, sigma: Any) -> Any:
    """Weights (size,) of sum 1, normal around the middle."""
    distance = (np.arange(size) - (size - 1) / 2).astype(sigma.dtype)
    weights = e.exp(e.multiply(e.square(e.divide(distance, sigma)), -0.5))
    return e.divide(weights, shaping.reduce_sum(weights, axes=(0,), keepdims=True))


@operation("image", "GaussianBlur", settings=("kernel_size", "sigma", "data_format"))
def gaussian_blur(
    images: Any,
    kernel_size: Sequence[int] = (3, 3),
    sigma: Any = (1.0, 1.0),
    data_format: str | None = None,
) -> Any:
    """Images in which each entry is a mean of its surroundings, weighed by a normal distribution; zeros lie outside.

    Args:
        images: a batch or one image.
        kernel_size: the window's columns and rows.
        sigma: the standard deviations across and down, in entries: two numbers or a tensor (2,).
        data_format: default: the global one.

    Raises:
        ValueError: images of another rank, or sizes below 1.
    """
    columns, rows = lengths(list(kernel_size), 2, "kernel_size")

    def run(batch: Any) -> Any:
        deviation = as_value(sigma, batch.dtype)
        across = _window(columns, shaping.getitem(deviation, key=((0, 1, 1),)))
        down = _window(rows, shaping.getitem(deviation, key=((1, 2, 1),)))
        channels = batch.shape[-1]
        kernels = [
            shaping.broadcast_to(shaping.reshape(window, shape=shape), shape=(*shape[:2], channels, 1))
            for window, shape in ((down, (rows, 1, 1, 1)), (across, (1, columns, 1, 1)))
        ]
        for kernel in kernels:
            batch = depthwise_conv(batch, kernel, padding="same", data_format="channels_last")
        return batch

    return on_batch(images, data_format, "gaussian_blur", lambda batch: in_float(batch, run))
