"""Random colour: hue, saturation, grey levels, and several at once."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.config import epsilon
from engine.layers.preprocessing.image_layer import RandomImageLayer, rescaled, value_range_of
from engine.layers.preprocessing.lighting import BYTES, Factor, FactorLayer, RandomBrightness, RandomContrast
from engine.registry import registered


def _with_channel(images: Any, index: int, channel: Any) -> Any:
    """Images (batch, rows, columns, 3) with another channel (batch, rows, columns, 1) in the place of one."""
    parts = [images[..., place : place + 1] for place in range(3)]
    parts[index] = channel
    return ops.concatenate(parts, axis=-1)


@registered("keras.layers")
class RandomHue(FactorLayer):
    """While training, turns the hue of each image.

    Args:
        factor: two numbers from 0 to 1, or one, f, for 0 and f: the share of half the circle, either way.
        value_range: the smallest and the largest value that images hold.
        data_format: "channels_last" or "channels_first"; default: the global one.
        seed: an integer, or None: drawn from the global seed.
    """

    limits = (0.0, 1.0)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        turned = ops.where(ops.greater(self._uniform(images, seed=seed), 0.5), -0.5, 0.5)
        return turned * self._uniform(images, self.factor, seed)

    def changed(self, images: Any, factor: Any) -> Any:
        colors = ops.image.rgb_to_hsv(rescaled(images, self.value_range, (0, 1)), "channels_last")
        hue = colors[..., :1] + ops.cast(factor, images.dtype)
        hue = ops.where(ops.greater(hue, 1.0), hue - 1.0, hue)
        hue = ops.where(ops.less(hue, 0.0), hue + 1.0, hue)
        turned = ops.image.hsv_to_rgb(_with_channel(colors, 0, hue), "channels_last")
        return rescaled(ops.clip(turned, 0.0, 1.0), (0, 1), self.value_range)


@registered("keras.layers")
class RandomSaturation(FactorLayer):
    """While training, multiplies the saturation of each image.

    Args:
        factor: two numbers from 0 to 1, or one, f, for 0 and f: of a number d between them the multiplier is
            d / (1 - d): 0.5 changes nothing, 0 gives grey.
        value_range, data_format, seed: as for `RandomHue`; the saturation is limited to the range of values.
    """

    limits = (0.0, 1.0)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        drawn = self._uniform(images, self.factor, seed)
        return drawn / (1.0 - drawn + epsilon())

    def changed(self, images: Any, factor: Any) -> Any:
        colors = ops.image.rgb_to_hsv(images, "channels_last")
        saturation = self.limited(colors[..., 1:2] * ops.cast(factor, images.dtype))
        return ops.image.hsv_to_rgb(_with_channel(colors, 1, saturation), "channels_last")


@registered("keras.layers")
class RandomColorDegeneration(FactorLayer):
    """While training, mixes each image with its grey levels.

    Args:
        factor: two numbers from 0 to 1, or one, f, for 0 and f: the share of grey.
        value_range, data_format, seed: as for `RandomHue`.
    """

    limits = (-1.0, 1.0)

    def changed(self, images: Any, factor: Any) -> Any:
        grey = ops.image.rgb_to_grayscale(images, "channels_last")
        return self.limited(images + factor * (grey - images))


@registered("keras.layers")
class RandomGrayscale(RandomImageLayer):
    """While training, makes some images grey, in as many channels as before.

    Args:
        factor: the probability, from 0 to 1.
        data_format: "channels_last" or "channels_first"; default: the global one.
        seed: an integer, or None: drawn from the global seed.
    """

    rests_at_inference = True

    def __init__(
        self, factor: float = 0.5, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if not 0 <= factor <= 1:
            raise ValueError(f"Layer {self.name!r}: `factor` must be a number from 0 to 1. Received: {factor!r}")
        self.factor = factor

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        return ops.less(self._uniform(images, seed=seed), float(self.factor)) if training else None

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        return ops.where(transformation, ops.image.rgb_to_grayscale(images, "channels_last"), images)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "factor": self.factor}
        del config["seed"]  # Keras does not write it
        return config


@registered("keras.layers")
class RandomColorJitter(RandomImageLayer):
    """While training, changes brightness, contrast, saturation and hue, in this order.

    Args:
        value_range: the smallest and the largest value that images hold.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: as the layers of these names take them;
            None: left as it is.
        seed: an integer, or None: drawn from the global seed.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    rests_at_inference = True
    _PARTS = (
        ("brightness_factor", RandomBrightness),
        ("contrast_factor", RandomContrast),
        ("saturation_factor", RandomSaturation),
        ("hue_factor", RandomHue),
    )

    def __init__(
        self,
        value_range: Any = BYTES,
        brightness_factor: Factor | None = None,
        contrast_factor: Factor | None = None,
        saturation_factor: Factor | None = None,
        hue_factor: Factor | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        value_range_of(self, value_range)
        self.value_range = value_range
        given = (brightness_factor, contrast_factor, saturation_factor, hue_factor)
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        options = {"value_range": value_range, "seed": seed, "data_format": "channels_last", "dtype": self.dtype_policy}
        self._parts = [
            kind(factor, **options) for (_, kind), factor in zip(self._PARTS, given, strict=True) if factor is not None
        ]

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        generator = self.generator if seed is None else seed
        return [part.get_random_transformation(images, training, generator) for part in self._parts]

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        for part, drawn in zip(self._parts, transformation, strict=True):
            images = part.transform_images(images, drawn, training)
        return images

    def get_config(self) -> dict[str, Any]:
        factors = {name: getattr(self, name) for name, _ in self._PARTS}
        return {**super().get_config(), "value_range": self.value_range, **factors}
