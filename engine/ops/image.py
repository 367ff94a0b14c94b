"""Image ops (`keras.ops.image`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.dtypes import is_float
from engine.ops.declare import operation
from engine.ops.elementwise import floating
from engine.ops.windows import channels_last, lengths
from engine.primitives import casting, shaping
from engine.primitives import elementwise as e
from engine.primitives.apply import as_value
from engine.primitives.resampling import resampling

_METHODS = {"nearest": "nearest", "bilinear": "linear"}


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
        interpolation: "bilinear" or "nearest".
        antialias, crop_to_aspect_ratio, pad_to_aspect_ratio: only False is supported.
        fill_mode, fill_value: of padding to an aspect ratio, so without effect.
        data_format: default: the global one.

    Raises:
        ValueError: an unsupported option, or images of another rank.
    """
    if interpolation not in _METHODS:
        raise ValueError(f"resize() supports the interpolations {', '.join(_METHODS)}. Received: {interpolation!r}")
    for name, value in (
        ("antialias", antialias),
        ("crop_to_aspect_ratio", crop_to_aspect_ratio),
        ("pad_to_aspect_ratio", pad_to_aspect_ratio),
    ):
        if value:
            raise ValueError(f"resize({name}=True) is not supported.")
    spatial = lengths(size, 2, "size")
    images = as_value(images)
    if images.ndim not in (3, 4):
        raise ValueError(f"resize() expects one image or a batch of images. Received: shape {images.shape}")
    batch = images if images.ndim == 4 else shaping.reshape(images, shape=(1, *images.shape))
    exact = interpolation == "nearest" or is_float(images.dtype)

    def run(value: Any) -> Any:
        return resampling(value, spatial=spatial, method=_METHODS[interpolation])

    result = channels_last(batch if exact else floating(batch), data_format, run)
    if not exact:
        result = casting.cast(e.rint(result), dtype=images.dtype.name)
    return result if images.ndim == 4 else shaping.reshape(result, shape=tuple(result.shape[1:]))
