"""Values spread over their range: AutoContrast, Equalization."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.preprocessing.image_layer import ImageLayer, rescaled, value_range_of
from engine.layers.preprocessing.lighting import BYTES
from engine.registry import registered


@registered("keras.layers")
class AutoContrast(ImageLayer):
    """Stretches each channel of each image to the whole range of values; at inference too.

    Args:
        value_range: the smallest and the largest value that images hold.

    A channel of one value stays as it is.
    """

    def __init__(self, value_range: Any = BYTES, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value_range = value_range_of(self, value_range)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        low, high = (function(images, axis=(1, 2), keepdims=True) for function in (ops.min, ops.max))
        spread = high - low
        plain = ops.equal(spread, 0.0)
        first, last = map(float, self.value_range)
        stretched = (images - low) * ((last - first) / ops.where(plain, 1.0, spread)) + first
        return ops.cast(ops.where(plain, images, ops.clip(stretched, first, last)), images.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "value_range": self.value_range}


@registered("keras.layers")
class Equalization(ImageLayer):
    """While training, spreads the values of each channel so that all become about equally frequent in the batch.

    Args:
        value_range: the smallest and the largest value that images hold.
        bins: how many different values are told apart.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    rests_at_inference = True

    def __init__(
        self, value_range: Any = BYTES, bins: int = 256, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        if not isinstance(bins, int) or bins < 1:
            raise ValueError(f"Layer {self.name!r}: `bins` must be a positive integer. Received: {bins!r}")
        self.bins = bins
        self.value_range = value_range_of(self, value_range)

    def _equalized(self, channel: Any) -> Any:
        """A channel (batch, rows, columns) in the range of bytes."""
        steps = ops.cast(ops.clip(channel * ((self.bins - 1) / 255.0), 0.0, float(self.bins - 1)), "int32")
        reached = ops.searchsorted(ops.sort(ops.reshape(steps, (-1,))), ops.arange(self.bins), side="right")
        first = ops.take(reached, ops.argmax(ops.greater(reached, 0)))
        rest = reached[-1] - first  # nothing where there is one value only
        table = ops.cast(reached - first, "float32") * 255.0 / ops.cast(ops.maximum(rest, 1), "float32")
        spread = ops.take(ops.clip(ops.round(table), 0.0, 255.0), steps)
        return ops.where(ops.equal(rest, 0), ops.cast(channel, "float32"), spread)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        if not training:
            return images
        values = rescaled(images, self.value_range, BYTES)
        channels = [self._equalized(values[..., index]) for index in range(images.shape[-1])]
        return ops.cast(rescaled(ops.stack(channels, axis=-1), BYTES, self.value_range), images.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins, "value_range": self.value_range}
