"""Resizing images, with their aspect ratio kept or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.dtypes import is_float
from engine.ops.declare import operation
from engine.ops.image import interpolation as kernels
from engine.ops.image.batches import in_float, on_batch
from engine.ops.windows import lengths
from engine.primitives import linear, shaping
from engine.primitives.resampling import resampling
from engine.tensor import Tensor

_RESAMPLING = {"nearest": "nearest", "bilinear": "linear"}


def covering(lengths: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The rows and columns of the largest part of an image that has the aspect ratio of `size`; at least 1 each."""
    height, width = lengths
    rows, columns = int(width * size[0] / size[1]), int(height * size[1] / size[0])
    return max(min(height, rows), 1), max(min(width, columns), 1)


def centered(images: Any, rows: int, columns: int) -> Any:
    """The middle of (batch, height, width, channels) images, the smaller margin before."""
    _, height, width, _ = images.shape
    top, left = (height - rows) // 2, (width - columns) // 2
    whole = (None, None, None)
    return shaping.getitem(images, key=(whole, (top, top + rows, 1), (left, left + columns, 1), whole))


def _padded(images: Any, size: tuple[int, int], value: float) -> Any:
    """Images with equal margins on two sides, so that their aspect ratio comes near that of `size`."""
    _, height, width, _ = images.shape
    rows, columns = max(height, int(width * size[0] / size[1])), max(width, int(height * size[1] / size[0]))
    top, left = (rows - height) // 2, (columns - width) // 2
    if top:
        left = 0
    return shaping.pad(images, widths=((0, 0), (top, top), (left, left), (0, 0)), value=float(value))


def _along(images: Any, axis: int, matrix: Any) -> Any:
    """A matrix (count, length) applied along an axis."""
    shape = images.shape
    before, after = 1, 1
    for length in shape[:axis]:
        before *= length
    for length in shape[axis + 1 :]:
        after *= length
    rows = shaping.reshape(images, shape=(before, shape[axis], after))
    weights = Tensor(matrix.astype(images.dtype))
    return shaping.reshape(linear.matmul(weights, rows), shape=(*shape[:axis], matrix.shape[0], *shape[axis + 1 :]))


def interpolated(images: Any, size: tuple[int, int], method: str = "bilinear", antialias: bool = False) -> Any:
    """Images (batch, rows, columns, channels) of another size, in their dtype; integers are rounded and limited."""
    if method == "nearest":
        return resampling(images, spatial=size, method="nearest")
    shrinks = any(after < before for before, after in zip(images.shape[1:3], size, strict=True))
    if method == "bilinear" and not (antialias and shrinks):
        if is_float(images.dtype):
            return resampling(images, spatial=size, method="linear")
        return in_float(images, lambda value: resampling(value, spatial=size, method="linear"))

    def run(value: Any) -> Any:
        for axis, count in enumerate(size, 1):
            if value.shape[axis] != count:
                value = _along(value, axis, kernels.weights(value.shape[axis], count, method, antialias))
        return value

    return in_float(images, run)


@operation(
    "image",
    "Resize",
    settings=(
        *("size", "interpolation", "antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio"),
        *("fill_mode", "fill_value", "data_format"),
    ),
)
def resize(
    images: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Images of another size, in the dtype of the given ones; integers are rounded.

    Args:
        images: (batch, rows, columns, channels) or one image without the batch; channels before the rows with
            "channels_first".
        size: the new rows and columns.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5" or "area".
        antialias: where images become smaller, each output weighs all entries that it stands for. Without effect on
            "nearest" and "area".
        crop_to_aspect_ratio: margins are cut off first, so that the aspect ratio stays.
        pad_to_aspect_ratio: margins are added first, so that the aspect ratio stays.
        fill_mode, fill_value: what margins hold; only the mode "constant" is known.
        data_format: default: the global one.

    Raises:
        ValueError: an unknown option, both aspect ratio options at once, or images of another rank.
    """
    if interpolation not in kernels.METHODS:
        known = ", ".join(kernels.METHODS)
        raise ValueError(f"resize() knows the interpolations {known}. Received: {interpolation!r}")
    if fill_mode != "constant":
        raise ValueError(f"resize() knows the fill mode 'constant' only. Received: {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize() can either crop or pad to the aspect ratio. Received: both")
    rows, columns = lengths(list(size), 2, "size")

    def run(batch: Any) -> Any:
        if crop_to_aspect_ratio:
            batch = centered(batch, *covering(batch.shape[1:3], (rows, columns)))
        elif pad_to_aspect_ratio:
            batch = _padded(batch, (rows, columns), fill_value)
        return interpolated(batch, (rows, columns), interpolation, antialias)

    return on_batch(images, data_format, "resize", run)
