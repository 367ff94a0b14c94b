"""Affine transforms of images, by looking each output up at a place of the input."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.ops.declare import operation
from engine.ops.image.batches import in_float, on_batch
from engine.primitives import casting, indexing, shaping
from engine.primitives import elementwise as e
from engine.primitives.apply import as_value
from engine.tensor import Tensor

INTERPOLATIONS = ("nearest", "bilinear")
FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def _inside(indices: Any, length: int, fill_mode: str) -> Any:
    """Where on an axis of `length` entries each index, which may lie outside, is looked up."""
    if fill_mode == "wrap":
        return e.mod(indices, length)
    if fill_mode == "mirror" and length > 1:  # … 2 1 | 0 1 2: the border is not repeated
        return e.subtract(length - 1, e.absolute(e.subtract(e.mod(indices, 2 * length - 2), length - 1)))
    if fill_mode == "reflect":  # … 1 0 | 0 1 2: the border is
        folded = e.mod(indices, 2 * length)
        return e.minimum(folded, e.subtract(2 * length - 1, folded))
    return indexing.clip(indices, minimum=0, maximum=length - 1)


def _neighbours(places: Any, length: int, interpolation: str, fill_mode: str) -> list[tuple[Any, Any, Any]]:
    """For each place on an axis its entries: their indices, their weights, and whether they exist (None: all do)."""
    if interpolation == "nearest":
        size = e.floor(e.add(e.absolute(places), 0.5))  # halves go away from zero
        found = [(e.multiply(e.sign(places), size), None)]
    else:
        before = e.floor(places)
        share = e.subtract(places, before)
        found = [(before, e.subtract(1.0, share)), (e.add(before, 1.0), share)]
    result = []
    for place, weight in found:
        index = casting.cast(casting.stop_gradient(place), dtype="int32")
        exists = None
        if fill_mode == "constant":
            exists = e.logical_and(e.greater_equal(index, 0), e.less(index, length))
        result.append((_inside(index, length, fill_mode), weight, exists))
    return result


def _sampled(images: Any, rows: Any, columns: Any, interpolation: str, fill_mode: str, fill_value: float) -> Any:
    """Float images (batch, height, width, channels) at the float places rows, columns (batch, height, width)."""
    batch, height, width, channels = images.shape
    entries = shaping.reshape(images, shape=(batch * height * width, channels))
    first = Tensor((np.arange(batch, dtype=np.int64) * (height * width)).reshape(batch, 1, 1))
    down = _neighbours(rows, height, interpolation, fill_mode)
    across = _neighbours(columns, width, interpolation, fill_mode)
    total: Any = None
    for row, row_weight, row_exists in down:
        start = e.add(first, e.multiply(casting.cast(row, dtype="int64"), width))
        for column, column_weight, column_exists in across:
            values = shaping.gather(entries, e.add(start, casting.cast(column, dtype="int64")), axis=0)
            if row_exists is not None:
                exists = e.logical_and(row_exists, column_exists)
                values = e.where(shaping.reshape(exists, shape=(*exists.shape, 1)), values, float(fill_value))
            if row_weight is not None:
                weight = casting.cast(e.multiply(row_weight, column_weight), dtype=images.dtype.name)
                values = e.multiply(values, shaping.reshape(weight, shape=(*weight.shape, 1)))
            total = values if total is None else e.add(total, values)
    return total


@operation("image", "AffineTransform", settings=("interpolation", "fill_mode", "fill_value", "data_format"))
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Any:
    """Images whose output at (x, y) is the input at (a0 x + a1 y + a2, b0 x + b1 y + b2), in their dtype and size.

    Gradients pass to the images, and with "bilinear" to the transform.

    Args:
        images: (batch, rows, columns, channels) or one image without the batch; channels before the rows with
            "channels_first".
        transform: (batch, 8), or (8,) for all images alike: a0, a1, a2, b0, b1, b2 and two numbers without effect.
        interpolation: "bilinear" or "nearest".
        fill_mode: what lies beyond the borders: "constant" (`fill_value`), "nearest" (the border), "wrap" (the image
            again), "reflect" (its mirror image) or "mirror" (its mirror image without the border).
        fill_value: for the mode "constant".
        data_format: default: the global one.

    Raises:
        ValueError: an unknown option, or shapes that do not fit.
    """
    if interpolation not in INTERPOLATIONS:
        known = ", ".join(INTERPOLATIONS)
        raise ValueError(f"affine_transform() knows the interpolations {known}. Received: {interpolation!r}")
    if fill_mode not in FILL_MODES:
        raise ValueError(f"affine_transform() knows the fill modes {', '.join(FILL_MODES)}. Received: {fill_mode!r}")
    matrix = as_value(transform)
    if matrix.dtype.itemsize < 4 or matrix.dtype.kind in "biu":
        matrix = casting.cast(matrix, dtype="float32")  # places of half precision would be off by pixels

    def run(batch: Any) -> Any:
        count, height, width, _ = batch.shape
        if matrix.ndim not in (1, 2) or matrix.shape[-1] != 8 or (matrix.ndim == 2 and matrix.shape[0] != count):
            raise ValueError(
                f"affine_transform() expects a transform (8,) or ({count}, 8) for {count} images. "
                f"Received: shape {matrix.shape}"
            )
        parts = shaping.broadcast_to(matrix, shape=(count, 8))
        a0, a1, a2, b0, b1, b2 = (
            shaping.reshape(shaping.getitem(parts, key=((None, None, None), index)), shape=(count, 1, 1))
            for index in range(6)
        )
        dtype = matrix.dtype
        x, y = Tensor(np.arange(width, dtype=dtype).reshape(1, 1, -1)), Tensor(np.arange(height, dtype=dtype)[:, None])
        columns = e.add(e.add(e.multiply(a0, x), e.multiply(a1, y)), a2)
        rows = e.add(e.add(e.multiply(b0, x), e.multiply(b1, y)), b2)
        return in_float(batch, lambda value: _sampled(value, rows, columns, interpolation, fill_mode, fill_value))

    return on_batch(images, data_format, "affine_transform", run)
