"""Random light: brightness, contrast, inversion, solarization, posterization."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from engine import ops, random
from engine.layers.preprocessing.image_layer import RandomImageLayer, factor_range, rescaled, value_range_of
from engine.registry import registered

Factor = Any  # a number or two
BYTES = (0, 255)


class FactorLayer(RandomImageLayer):
    """A layer that changes values while training, by a factor drawn for each image.

    Args:
        factor: two numbers, or one, f, for -f (but not below the smallest allowed) and f.
        value_range: the smallest and the largest value that images hold.
        data_format: "channels_last" or "channels_first"; default: the global one.
        seed: an integer, or None: drawn from the global seed.
    """

    limits: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    rests_at_inference = True

    def __init__(
        self,
        factor: Factor,
        value_range: Any = BYTES,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range(self, "factor", factor, self.limits, overlap=True)
        self.value_range = value_range_of(self, value_range)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        """A number for each image, (batch, 1, 1, 1)."""
        return self._uniform(images, self.factor, seed) if training else None

    @abstractmethod
    def changed(self, images: Any, factor: Any) -> Any:
        """The images of a batch with a factor (batch, 1, 1, 1)."""

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        return ops.cast(self.changed(images, transformation), images.dtype)

    def limited(self, images: Any) -> Any:
        """The values limited to the range of values."""
        return ops.clip(images, *map(float, self.value_range))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


@registered("keras.layers")
class RandomBrightness(FactorLayer):
    """While training, adds to each image a number of its own and limits the sum to the range of values.

    Args:
        factor: two numbers from -1 to 1, or one, f, for -f and f: the share of the range of values that is added.
        value_range: the smallest and the largest value that images hold.
        seed: an integer, or None: drawn from the global seed.
    """

    def __init__(self, factor: Factor, value_range: Any = BYTES, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(factor, value_range, seed=seed, **kwargs)

    def changed(self, images: Any, factor: Any) -> Any:
        return self.limited(images + factor * (self.value_range[1] - self.value_range[0]))


@registered("keras.layers")
class RandomContrast(FactorLayer):
    """While training, multiplies the distance of each value from its channel's mean and limits it to the range.

    Args:
        factor: two numbers, or one, f, for 0 and f: the multiplier is drawn between 1 - the first and 1 + the second.
        value_range: the smallest and the largest value that images hold.
        seed: an integer, or None: drawn from the global seed.
    """

    limits = (0.0, 1.0)

    def __init__(self, factor: Factor, value_range: Any = BYTES, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(factor, value_range, seed=seed, **kwargs)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        return self._uniform(images, (1.0 - self.factor[0], 1.0 + self.factor[1]), seed) if training else None

    def changed(self, images: Any, factor: Any) -> Any:
        mean = ops.mean(images, axis=(1, 2), keepdims=True)
        return self.limited((images - mean) * factor + mean)


@registered("keras.layers")
class RandomInvert(FactorLayer):
    """While training, subtracts some images from the largest value.

    Args:
        factor: two numbers, or one, f, for 0 and f: the bounds of the probability.
        value_range, seed, data_format: as for `RandomHue`.
    """

    limits = (0.0, 1.0)

    def __init__(
        self,
        factor: Factor = 1.0,
        value_range: Any = BYTES,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format, seed, **kwargs)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        return self._chosen(images, self.factor, seed) if training else None

    def changed(self, images: Any, factor: Any) -> Any:
        return ops.where(factor, self.value_range[1] - images, images)


@registered("keras.layers")
class RandomPosterization(FactorLayer):
    """While training, keeps only the first bits of each value.

    Args:
        factor: the number of bits, from 1 to 8: two numbers, the second excluded, or one, f, for 1 and f.
        value_range, data_format, seed: as for `RandomHue`.
    """

    limits = (1, 8)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        low, high = (int(bound) for bound in self.factor)
        shape = (images.shape[0], 1, 1, 1)
        if low == high:
            return ops.full(shape, low, "int32")
        return random.randint(shape, low, high, seed=self.generator if seed is None else seed)

    def changed(self, images: Any, factor: Any) -> Any:
        step = ops.power(2.0, ops.cast(8 - factor, "float32"))  # what the last bit kept stands for
        whole = ops.floor(ops.cast(rescaled(images, self.value_range, BYTES), "float32"))
        return rescaled(ops.floor(whole / step) * step, BYTES, self.value_range)


@registered("keras.layers")
class Solarization(RandomImageLayer):
    """While training, adds a number to each image, and inverts the values that do not lie below a threshold.

    Args:
        addition_factor, threshold_factor: two numbers from 0 to 1, or one, f, for 0 and f: the bounds of what is added
            and of the threshold, as shares of the range of values (of two bounds the upper one; the lower one counts
            in units of 1/255 of it, as in Keras).
        value_range: the smallest and the largest value that images hold.
        seed: an integer, or None: drawn from the global seed.
    """

    def __init__(
        self,
        addition_factor: Factor = 0.0,
        threshold_factor: Factor = 0.0,
        value_range: Any = BYTES,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.addition_factor = factor_range(self, "addition_factor", addition_factor, (0, 1))
        self.threshold_factor = factor_range(self, "threshold_factor", threshold_factor, (0, 1))
        self.value_range = value_range_of(self, value_range)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return [
            self._uniform(images, (low, high * 255.0), seed)
            for low, high in (self.addition_factor, self.threshold_factor)
        ]

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training or transformation is None:
            return images
        additions, thresholds = transformation
        values = ops.clip(rescaled(images, self.value_range, BYTES) + additions, 0.0, 255.0)
        inverted = ops.where(ops.less(values, thresholds), values, 255.0 - values)
        return ops.cast(rescaled(inverted, BYTES, self.value_range), images.dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("addition_factor", "threshold_factor", "value_range")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
