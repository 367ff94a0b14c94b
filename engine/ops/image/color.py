"""Colour: grey levels, and hue, saturation and value."""

from __future__ import annotations

from typing import Any

from engine.dtypes import is_float
from engine.ops.declare import operation
from engine.ops.image.batches import in_float, on_batch
from engine.ops.shaping import stack
from engine.primitives import elementwise as e
from engine.primitives import indexing, shaping
from engine.primitives.apply import as_value

_GREY = (0.2989, 0.587, 0.114)  # of red, green, blue: ITU-R BT.601


def _channels(batch: Any, name: str) -> list[Any]:
    if batch.shape[-1] != 3:
        raise ValueError(f"{name}() expects images of three channels. Received: {batch.shape[-1]}")
    whole = ((None, None, None),) * 3
    return [shaping.getitem(batch, key=(*whole, index)) for index in range(3)]


def _check_float(images: Any, name: str) -> Any:
    images = as_value(images)
    if not is_float(images.dtype):
        raise ValueError(f"{name}() expects images of a float dtype. Received: {images.dtype.name}")
    return images


@operation("image", "RGBToGrayscale", settings=("data_format",))
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Any:
    """The grey levels of colours, (batch, rows, columns, 1), in the images' dtype; grey images stay as they are.

    Args:
        images: a batch or one image, of three channels or one.
        data_format: default: the global one.

    Raises:
        ValueError: another rank, or another number of channels.
    """

    def run(batch: Any) -> Any:
        if batch.shape[-1] == 1:
            return batch

        def weighed(value: Any) -> Any:
            parts = [e.multiply(c, w) for c, w in zip(_channels(value, "rgb_to_grayscale"), _GREY, strict=True)]
            grey = e.add(e.add(parts[0], parts[1]), parts[2])
            return shaping.reshape(grey, shape=(*grey.shape, 1))

        return in_float(batch, weighed)

    return on_batch(images, data_format, "rgb_to_grayscale", run)


@operation("image", "RGBToHSV", settings=("data_format",))
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Any:
    """Hue (in [0, 1)), saturation (0 to 1) and value (the largest of the colours) of red, green and blue.

    Args:
        images: a batch or one image of three channels, of a float dtype.
        data_format: default: the global one.

    Raises:
        ValueError: another rank, dtype or number of channels.
    """

    def run(batch: Any) -> Any:
        from ml_dtypes import finfo

        tiny = float(finfo(batch.dtype).eps)
        red, green, blue = (
            e.where(e.less(e.absolute(channel), tiny), 0.0, channel) for channel in _channels(batch, "rgb_to_hsv")
        )
        value = e.maximum(e.maximum(red, green), blue)
        spread = e.subtract(value, e.minimum(e.minimum(red, green), blue))
        bright, colored = e.greater(value, 0), e.greater(spread, 0)
        saturation = e.where(bright, e.divide(spread, e.where(bright, value, 1.0)), 0.0)
        unit = e.divide(1 / 6, e.where(colored, spread, 1.0))
        hue = e.where(
            e.equal(value, green),
            e.add(e.multiply(unit, e.subtract(blue, red)), 2 / 6),
            e.add(e.multiply(unit, e.subtract(red, green)), 4 / 6),
        )
        hue = e.where(e.equal(value, red), e.multiply(unit, e.subtract(green, blue)), hue)
        hue = e.where(colored, hue, 0.0)
        hue = e.where(e.less(hue, 0), e.add(hue, 1.0), hue)
        return stack([hue, saturation, value], axis=-1)

    return on_batch(_check_float(images, "rgb_to_hsv"), data_format, "rgb_to_hsv", run)


@operation("image", "HSVToRGB", settings=("data_format",))
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Any:
    """Red, green and blue of hue, saturation and value: the inverse of `rgb_to_hsv`. Args and errors as there."""

    def run(batch: Any) -> Any:
        hue, saturation, value = _channels(batch, "hsv_to_rgb")
        sector = e.multiply(e.mod(hue, 1.0), 6.0)
        rest = e.subtract(1.0, saturation)
        distances = (
            e.subtract(e.absolute(e.subtract(sector, 3.0)), 1.0),
            e.subtract(2.0, e.absolute(e.subtract(sector, 2.0))),
            e.subtract(2.0, e.absolute(e.subtract(sector, 4.0))),
        )
        shares = (indexing.clip(distance, minimum=0.0, maximum=1.0) for distance in distances)
        return stack([e.multiply(value, e.add(rest, e.multiply(saturation, share))) for share in shares], axis=-1)

    return on_batch(_check_float(images, "hsv_to_rgb"), data_format, "hsv_to_rgb", run)
