"""Random filters: sharpness, blur, erased rectangles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import ops, random
from engine.layers.preprocessing.image_layer import factor_range
from engine.layers.preprocessing.lighting import BYTES, Factor, FactorLayer
from engine.registry import registered

# Means of 3×3 surroundings in which the middle counts five times.
_SMOOTHING = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13


@registered("keras.layers")
class RandomSharpness(FactorLayer):
    """While training, sharpens or smoothens each image.

    Args:
        factor: two numbers from 0 to 1, or one, f, for 0 and f: 0.5 changes nothing, 0 gives the smoothed image, 1 as
            much sharper.
        value_range, data_format, seed: as for `RandomHue`.
    """

    limits = (0.0, 1.0)
    rests_at_inference = False

    def changed(self, images: Any, factor: Any) -> Any:
        window = ops.convert_to_tensor(_SMOOTHING[:, :, None, None], images.dtype)
        kernel = ops.tile(window, (1, 1, images.shape[-1], 1))
        smooth = ops.depthwise_conv(images, kernel, padding="same", data_format="channels_last")
        share = ops.cast(1.0 - 2.0 * factor, images.dtype)
        return self.limited(images + share * (smooth - images))


@registered("keras.layers")
class RandomGaussianBlur(FactorLayer):
    """While training, blurs some images.

    Args:
        factor: two numbers from 0 to 1, or one, f, for 0 and f: the bounds of the probability.
        kernel_size: an odd number, or two: the window's columns and rows.
        sigma: two numbers from 0 to 1, or one, s, for 0 and s: the bounds of the standard deviations across and down,
            drawn once for a batch.
        value_range, data_format, seed: as for `RandomHue`.
    """

    limits = (0.0, 1.0)
    rests_at_inference = False

    def __init__(
        self,
        factor: Factor = 1.0,
        kernel_size: int | Sequence[int] = 3,
        sigma: Factor = 1.0,
        value_range: Any = BYTES,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format, seed, **kwargs)
        sizes = tuple(kernel_size) if isinstance(kernel_size, (list, tuple)) else (kernel_size, kernel_size)
        if len(sizes) != 2 or any(not isinstance(size, int) or size < 1 or size % 2 == 0 for size in sizes):
            raise ValueError(
                f"Layer {self.name!r}: `kernel_size` must be an odd number, or two. Received: {kernel_size!r}"
            )
        self.kernel_size = sizes
        self.sigma = factor_range(self, "sigma", sigma, (0.0, 1.0), overlap=True)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        chosen = self._chosen(images, self.factor, seed)
        generator = self.generator if seed is None else seed
        return chosen, random.uniform((2,), *self.sigma, dtype="float32", seed=generator) + 1e-6

    def changed(self, images: Any, factor: Any) -> Any:
        chosen, sigma = factor
        blurred = ops.image.gaussian_blur(images, self.kernel_size, ops.cast(sigma, images.dtype), "channels_last")
        return self.limited(ops.where(chosen, blurred, images))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": self.kernel_size, "sigma": self.sigma}


def covered_span(images: Any, axis: int, share: Any, place: Any) -> Any:
    """Which entries of an axis a rectangle covers in each image: bool, (batch, rows or 1, columns or 1, 1).

    Args:
        share: (batch, 1, 1, 1), the rectangle's share of the axis.
        place: (batch, 1, 1, 1), where it lies between the beginning (0) and the end (1).
    """
    length = images.shape[axis]
    extent = share * length
    start = place * (length - extent)
    shape = tuple(length if index == axis else 1 for index in range(4))
    entries = ops.reshape(ops.arange(length, dtype="float32"), shape)
    return ops.logical_and(ops.greater_equal(entries, start), ops.less(entries, start + extent))


@registered("keras.layers")
class RandomErasing(FactorLayer):
    """While training, fills a rectangle of some images.

    Args:
        factor: two numbers from 0 to 1, or one, f, for 0 and f: the bounds of the probability.
        scale: two numbers from 0 to 1: the bounds of the squares of the rectangle's shares of width and of height.
        fill_value: a number, three (one for each channel), or None: normal noise, as wide as the largest value.
        value_range, seed, data_format: as for `RandomHue`; what fills is limited to the range of values.
    """

    limits = (0.0, 1.0)
    rests_at_inference = False

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Any = BYTES,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format, seed, **kwargs)
        self.scale = factor_range(self, "scale", scale, (0.0, 1.0), overlap=True)
        single = isinstance(fill_value, (int, float, type(None)))
        if not single and not (isinstance(fill_value, (list, tuple)) and len(fill_value) == 3):
            raise ValueError(
                f"Layer {self.name!r}: `fill_value` must be a number, three of them, or None. Received: {fill_value!r}"
            )
        self.fill_value = fill_value

    def _drawn_side(self, images: Any, seed: Any) -> Any:
        return ops.sqrt(self._uniform(images, self.scale, seed))

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        across, down = (
            covered_span(images, axis, self._drawn_side(images, seed), self._uniform(images, seed=seed))
            for axis in (2, 1)
        )
        covered = ops.logical_and(across, down)
        erased = ops.logical_and(covered, self._chosen(images, self.factor, seed))
        if self.fill_value is None:
            generator = self.generator if seed is None else seed
            fill = random.normal(images.shape, dtype="float32", seed=generator) * self.value_range[1]
        else:
            fill = ops.convert_to_tensor(np.asarray(self.fill_value, np.float32))
        return erased, self.limited(fill)

    def changed(self, images: Any, factor: Any) -> Any:
        erased, fill = factor
        return ops.where(erased, ops.cast(fill, images.dtype), images)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "fill_value": self.fill_value}
