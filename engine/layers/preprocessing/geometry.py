"""Random geometry: flips, rotations, zooms, shifts, shears."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

from engine import ops
from engine.layers.preprocessing.image_layer import RandomImageLayer, factor_range
from engine.ops.image.transforming import INTERPOLATIONS
from engine.registry import registered

Factor = Any  # a number or two

_FILL_MODES = ("reflect", "wrap", "constant", "nearest")
_MODES = {
    "horizontal": (2,),
    "vertical": (1,),
    "horizontal_and_vertical": (2, 1),
}


@registered("keras.layers")
class RandomFlip(RandomImageLayer):
    """While training, mirrors every other image, by chance.

    Args:
        mode: "horizontal" (left to right), "vertical" or "horizontal_and_vertical" (both at once).
        seed: an integer, or None: drawn from the global seed.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if mode not in _MODES:
            raise ValueError(f"Layer {self.name!r}: `mode` must be one of {', '.join(_MODES)}. Received: {mode!r}")
        self.mode = mode

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        return ops.less_equal(self._uniform(images, seed=seed), 0.5) if training else None

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        if not training or transformation is None:
            return images
        return ops.where(transformation, ops.flip(images, _MODES[self.mode]), images)

    def transform_segmentation_masks(self, masks: Any, transformation: Any, training: bool = True) -> Any:
        return self.transform_images(masks, transformation, training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


class _Affine(RandomImageLayer):
    """A layer that draws an affine transform for each image.

    Args:
        fill_mode: what lies beyond the borders: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        fill_value: for the fill mode "constant".
    """

    def __init__(self, fill_mode: str, interpolation: str, fill_value: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value, known in (
            ("fill_mode", fill_mode, _FILL_MODES),
            ("interpolation", interpolation, INTERPOLATIONS),
        ):
            if value not in known:
                raise ValueError(f"Layer {self.name!r}: `{name}` is one of {', '.join(known)}. Received: {value!r}")
        self.fill_mode, self.interpolation, self.fill_value = fill_mode, interpolation, fill_value

    @abstractmethod
    def _transform(self, images: Any, seed: Any) -> tuple[Any, ...]:
        """a0, a1, a2, b0, b1, b2 of `ops.image.affine_transform`: tensors (batch, 1) or numbers."""

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        one = ops.ones((images.shape[0], 1), "float32")
        return ops.concatenate([one * part for part in (*self._transform(images, seed), 0.0, 0.0)], axis=1)

    def _transformed(self, images: Any, transformation: Any, interpolation: str) -> Any:
        if transformation is None:
            return images
        return ops.image.affine_transform(
            images, transformation, interpolation, self.fill_mode, self.fill_value, "channels_last"
        )

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        return self._transformed(images, transformation, self.interpolation)

    def transform_segmentation_masks(self, masks: Any, transformation: Any, training: bool = True) -> Any:
        return self._transformed(masks, transformation, "nearest")

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in ("fill_mode", "interpolation", "fill_value")}
        return {**super().get_config(), **config}


@registered("keras.layers")
class RandomRotation(_Affine):
    """While training, turns each image around its middle by an angle of its own.

    Args:
        factor: two numbers, or one, f, for -f and f: the bounds of the angle in full turns, counterclockwise.
        fill_mode: what lies beyond the borders: "reflect", "wrap", "constant" (`fill_value`) or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: an integer, or None: drawn from the global seed.
        fill_value: for the fill mode "constant".
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range(self, "factor", factor, (-1.0, 1.0), overlap=True)

    def _transform(self, images: Any, seed: Any) -> tuple[Any, ...]:
        low, high = (factor * 2 * math.pi for factor in self.factor)
        angle = self._uniform(images, (low, high), seed, rank=2)
        cosine, sine = ops.cos(angle), ops.sin(angle)
        y, x = ((length - 1) / 2 for length in images.shape[1:3])
        return cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class _TwoFactors(_Affine):
    """An affine layer with a factor for each direction, both numbers or pairs. Args: as for the layers below."""

    def __init__(self, height_factor: Factor, width_factor: Factor, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._rows = factor_range(self, "height_factor", height_factor, (-1.0, 1.0))
        self._columns: tuple[float, float] | None = None
        if width_factor is not None:
            self._columns = factor_range(self, "width_factor", width_factor, (-1.0, 1.0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height_factor": self.height_factor, "width_factor": self.width_factor}


@registered("keras.layers")
class RandomZoom(_TwoFactors):
    """While training, enlarges or shrinks each image around its middle.

    Args:
        height_factor: two numbers above -1, or one, f, for -f and f: by how much of its height more of the image is
            seen; below 0 it is enlarged.
        width_factor: the same across; default: as much as in height.
        fill_mode, interpolation, seed, fill_value, data_format: as for `RandomRotation`.
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        options = {"seed": seed, "data_format": data_format, **kwargs}
        super().__init__(height_factor, width_factor, fill_mode, interpolation, fill_value, **options)
        for name, factor in (("height_factor", height_factor), ("width_factor", width_factor)):
            # A single number f = 1 stands for -1 to 1, as in Keras; only what is given must lie above -1.
            if factor is not None and min(factor if isinstance(factor, (list, tuple)) else (factor,)) <= -1:
                raise ValueError(f"Layer {self.name!r}: `{name}` must lie above -1. Received: {factor!r}")

    def _transform(self, images: Any, seed: Any) -> tuple[Any, ...]:
        down = 1.0 + self._uniform(images, self._rows, seed, rank=2)
        across = down if self._columns is None else 1.0 + self._uniform(images, self._columns, seed, rank=2)
        y, x = ((length - 1) / 2 for length in images.shape[1:3])
        return across, 0.0, x * (1.0 - across), 0.0, down, y * (1.0 - down)


@registered("keras.layers")
class RandomTranslation(_TwoFactors):
    """While training, shifts each image down and to the right.

    Args:
        height_factor, width_factor: two numbers from -1 to 1, or one, f, for -f and f: by how much of its height or
            width.
        fill_mode, interpolation, seed, fill_value, data_format: as for `RandomRotation`.
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        options = {"seed": seed, "data_format": data_format, **kwargs}
        super().__init__(height_factor, width_factor, fill_mode, interpolation, fill_value, **options)
        if self._columns is None:
            raise ValueError(f"Layer {self.name!r}: `width_factor` must be a number, or two. Received: None")

    def _transform(self, images: Any, seed: Any) -> tuple[Any, ...]:
        assert self._columns is not None
        height, width = images.shape[1:3]
        down = self._uniform(images, self._rows, seed, rank=2) * height
        across = self._uniform(images, self._columns, seed, rank=2) * width
        return 1.0, 0.0, -across, 0.0, 1.0, -down


@registered("keras.layers")
class RandomShear(_Affine):
    """While training, shears each image: rows shift by a part of their number, columns by a part of theirs.

    Args:
        x_factor, y_factor: two numbers from 0 to 1, or one, f, for -f and f (which a file may hold as two); the sign
            of both is turned by chance.
        interpolation, fill_mode, fill_value, data_format, seed: as for `RandomRotation`.
    """

    def __init__(
        self,
        x_factor: Factor = 0.0,
        y_factor: Factor = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.x_factor = factor_range(self, "x_factor", x_factor, (-1.0, 1.0))
        self.y_factor = factor_range(self, "y_factor", y_factor, (-1.0, 1.0))

    def _transform(self, images: Any, seed: Any) -> tuple[Any, ...]:
        turned = ops.where(ops.greater(self._uniform(images, seed=seed, rank=2), 0.5), -1.0, 1.0)
        y_shear = self._uniform(images, self.y_factor, seed, rank=2) * turned
        x_shear = self._uniform(images, self.x_factor, seed, rank=2) * turned
        return 1.0, x_shear, 0.0, y_shear, 1.0, 0.0

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "x_factor": self.x_factor, "y_factor": self.y_factor}
