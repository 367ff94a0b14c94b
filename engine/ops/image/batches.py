"""Images as image ops take them (one or a batch, either data format), brought to a batch with the channels last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.dtypes import is_float
from engine.ops.elementwise import floating
from engine.ops.windows import channels_last
from engine.primitives import casting, indexing, shaping
from engine.primitives import elementwise as e
from engine.primitives.apply import as_value


def on_batch(images: Any, data_format: str | None, name: str, function: Callable[[Any], Any]) -> Any:
    """`function` on a batch (batch, rows, columns, channels); its result in the rank and data format of `images`.

    Raises:
        ValueError: the images have neither three axes nor four; names the op.
    """
    images = as_value(images)
    if images.ndim not in (3, 4):
        raise ValueError(f"{name}() expects one image or a batch of images. Received: shape {images.shape}")
    batch = images if images.ndim == 4 else shaping.reshape(images, shape=(1, *images.shape))
    result = channels_last(batch, data_format, function)
    return result if images.ndim == 4 else shaping.reshape(result, shape=tuple(result.shape[1:]))


def in_float(images: Any, function: Callable[[Any], Any]) -> Any:
    """`function` on the images in float32 or float64; its result in the dtype of the images.

    For integers it is rounded, halves to the even one, and limited to what the dtype holds.
    """
    dtype = images.dtype
    if is_float(dtype):
        wide = images if dtype.itemsize >= 4 else casting.cast(images, dtype="float32")
        result = function(wide)
        return result if result.dtype == dtype else casting.cast(result, dtype=dtype.name)
    result = e.rint(function(floating(images)))
    if dtype != np.bool_:
        limits = np.iinfo(dtype)
        # The largest float32 below 2³¹ is not 2³¹ - 1: limits of wide types are stated in the type of the result.
        highest = float(np.nextafter(result.dtype.type(limits.max), result.dtype.type(0)))
        highest = float(limits.max) if limits.max < 1 << 24 else highest
        result = indexing.clip(result, minimum=float(limits.min), maximum=highest)
    return casting.cast(result, dtype=dtype.name)
