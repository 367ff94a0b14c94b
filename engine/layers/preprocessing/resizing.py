"""Images brought to a given size: Resizing, CenterCrop, RandomCrop."""

from __future__ import annotations

from typing import Any

from engine import ops, random
from engine.layers.preprocessing.image_layer import SizedImageLayer
from engine.ops.image.resizing import centered, covering, interpolated
from engine.random import SeedGenerator, make_default_seed
from engine.registry import registered


@registered("keras.layers")
class Resizing(SizedImageLayer):
    """Images of another size, in their dtype.

    Args:
        height, width: the new size.
        interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio, fill_mode, fill_value, antialias: as
            `ops.image.resize` has them.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    casts = False
    _OPTIONS = (
        *("interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio"),
        *("fill_mode", "fill_value", "antialias"),
    )

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(height, width, data_format=data_format, **kwargs)
        self.interpolation = interpolation
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        self.fill_mode, self.fill_value = fill_mode, fill_value
        self.antialias = bool(antialias)

    def _resized(self, images: Any, **changes: Any) -> Any:
        options = {name: getattr(self, name) for name in self._OPTIONS} | changes
        return ops.image.resize(images, (self.height, self.width), data_format="channels_last", **options)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return self._resized(images)

    def transform_segmentation_masks(self, masks: Any, transformation: Any = None, training: bool = True) -> Any:
        return self._resized(masks, interpolation="nearest")

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("height", "width", *self._OPTIONS)}
        return {**super().get_config(), **config}


def _covered(images: Any, height: int, width: int) -> Any:
    """The middle of images in the aspect ratio of a size, resized to it."""
    size = (height, width)
    return interpolated(centered(images, *covering(images.shape[1:3], size)), size)


@registered("keras.layers")
class CenterCrop(SizedImageLayer):
    """The middle of images; of smaller ones the middle in the same aspect ratio, resized.

    Args:
        height, width: the new size.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(height, width, data_format=data_format, **kwargs)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        if images.shape[1] >= self.height and images.shape[2] >= self.width:
            return centered(images, self.height, self.width)
        return _covered(images, self.height, self.width)

    def transform_segmentation_masks(self, masks: Any, transformation: Any = None, training: bool = True) -> Any:
        return self.transform_images(masks)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}


@registered("keras.layers")
class RandomCrop(SizedImageLayer):
    """While training, a part of images at a random place, the same for all of a batch; else the images as they are.

    Images that are not larger than the size in both directions are cropped from their middle, and resized where that
    is not enough. At inference nothing happens, as in Keras 3.15, although the shape it infers is that of the crop:
    use images of the size there, or `CenterCrop`.

    Args:
        height, width: the new size.
        seed: an integer, or None: drawn from the global seed.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    rests_at_inference = True

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(height, width, data_format=data_format, name=name, **kwargs)
        self.seed = make_default_seed() if seed is None else seed
        self.generator = SeedGenerator(self.seed)

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        rows, columns = images.shape[1:3]
        if not training or rows <= self.height or columns <= self.width:
            return None
        generator = self.generator if seed is None else seed
        return [
            random.randint((), 0, length - wanted + 1, seed=generator)
            for length, wanted in ((rows, self.height), (columns, self.width))
        ]

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return images
        if transformation is None:
            rows, columns = images.shape[1:3]
            height, width = covering((rows, columns), (self.height, self.width))
            top, left = (rows - height) // 2, (columns - width) // 2
            part = images[:, top : top + self.height, left : left + self.width, :]
            return interpolated(part, (self.height, self.width))
        for axis, (start, length) in enumerate(zip(transformation, (self.height, self.width), strict=True), 1):
            images = ops.take(images, ops.arange(length) + start, axis=axis)
        return images

    def transform_segmentation_masks(self, masks: Any, transformation: Any, training: bool = True) -> Any:
        return self.transform_images(masks, transformation, training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width, "seed": self.seed}
