"""Layers that move values: flattening, reshaping, permuting, repeating, padding, cropping, upsampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from engine import ops
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.ops.windows import lengths, standard_data_format
from engine.registry import registered


@registered("keras.layers")
class Flatten(Layer):
    """Each example in one row: (batch, length).

    Args:
        data_format: "channels_first" brings the channels last before flattening; default: the global one.
    """

    _config_attributes = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = standard_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        if self.data_format == "channels_first" and len(inputs.shape) > 2:
            inputs = ops.moveaxis(inputs, 1, -1)
        return ops.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))


@registered("keras.layers")
class Reshape(Layer):
    """Each example in another shape.

    Args:
        target_shape: without the batch axis; one length may be -1.
    """

    _config_attributes = ("target_shape",)

    def __init__(self, target_shape: Sequence[int] | int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if self.target_shape.count(-1) > 1:
            raise ValueError(f"Layer {self.name!r}: one length at most may be -1. Received: {self.target_shape}")
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.reshape(inputs, (inputs.shape[0], *self.target_shape))


@registered("keras.layers")
class Permute(Layer):
    """The axes after the batch axis in another order.

    Args:
        dims: these axes, counted from 1, in their new order.
    """

    _config_attributes = ("dims",)

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"Layer {self.name!r}: `dims` holds each axis from 1 to {len(self.dims)} once. Received: {self.dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))


@registered("keras.layers")
class RepeatVector(Layer):
    """(batch, features) n times: (batch, n, features)."""

    _config_attributes = ("n",)

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, int):
            raise TypeError(f"Layer {self.name!r}: `n` must be an integer. Received: {n!r}")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        return ops.tile(ops.expand_dims(inputs, 1), (1, self.n, 1))


# Margins -------------------------------------------------------------------------------------------------------------


def _margins(value: Any, rank: int, what: str) -> tuple[tuple[int, int], ...]:
    """(before, after) for each spatial axis from an int, one for each axis, or a pair for each axis."""
    pairs = [value] * rank if isinstance(value, int) else list(value) if isinstance(value, (list, tuple)) else []
    if rank == 1 and len(pairs) == 2:
        pairs = [tuple(pairs)]
    margins = [(pair, pair) if isinstance(pair, int) else tuple(pair) for pair in pairs]
    if len(margins) != rank or any(
        len(pair) != 2 or not all(isinstance(item, int) and item >= 0 for item in pair) for pair in margins
    ):
        raise ValueError(
            f"{what} must be an integer from 0 on, or one or a pair (before, after) for each of {rank} axes. "
            f"Received: {value!r}"
        )
    return tuple(margins)


class _Spatial(Layer):
    """A layer that changes each spatial axis by itself."""

    rank: ClassVar[int]

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = standard_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _first_axis(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def _on_all_axes(self, spatial: Sequence[Any], other: Any) -> list[Any]:
        """What is meant for the spatial axes, with `other` for the batch and channel axes."""
        placed = [other] * (self.rank + 2)
        placed[self._first_axis : self._first_axis + self.rank] = list(spatial)
        return placed


class _ZeroPadding(_Spatial):
    _config_attributes = ("padding", "data_format")

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        margins = _margins(padding, self.rank, f"Layer {self.name!r}: `padding`")
        self.padding: Any = margins[0] if self.rank == 1 else margins

    def call(self, inputs: Any) -> Any:
        margins = (self.padding,) if self.rank == 1 else self.padding
        return ops.pad(inputs, self._on_all_axes(margins, (0, 0)))


@registered("keras.layers")
class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after the spatial axis; options as `ZeroPadding2D`."""

    rank = 1


@registered("keras.layers")
class ZeroPadding2D(_ZeroPadding):
    """Zeros around the spatial axes.

    Args:
        padding: an integer, one for each axis, or a pair (before, after) for each axis; default 1.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    rank = 2


@registered("keras.layers")
class ZeroPadding3D(_ZeroPadding):
    """Zeros around the three spatial axes; options as `ZeroPadding2D`."""

    rank = 3


class _Cropping(_Spatial):
    _config_attributes: ClassVar[tuple[str, ...]] = ("cropping", "data_format")

    def __init__(self, cropping: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        margins = _margins(cropping, self.rank, f"Layer {self.name!r}: `cropping`")
        self.cropping: Any = margins[0] if self.rank == 1 else margins

    def call(self, inputs: Any) -> Any:
        margins = (self.cropping,) if self.rank == 1 else self.cropping
        kept = []
        for axis, (before, after) in enumerate(margins, self._first_axis):
            stop = inputs.shape[axis] - after
            if stop <= before:
                raise ValueError(f"cropping {self.cropping} leaves nothing of shape {inputs.shape}.")
            kept.append(slice(before, stop))
        return inputs[tuple(self._on_all_axes(kept, slice(None)))]


@registered("keras.layers")
class Cropping1D(_Cropping):
    """Without what lies at the ends of the spatial axis.

    Args:
        cropping: an integer or a pair (before, after).
    """

    rank = 1
    _config_attributes = ("cropping",)

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, "channels_last", **kwargs)


@registered("keras.layers")
class Cropping2D(_Cropping):
    """Without what lies at the borders of the spatial axes.

    Args:
        cropping: an integer, one for each axis, or a pair (before, after) for each axis; default 0.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    rank = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


@registered("keras.layers")
class Cropping3D(_Cropping):
    """Without what lies at the borders of the three spatial axes; options as `Cropping2D`, `cropping` 1."""

    rank = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


# Upsampling ----------------------------------------------------------------------------------------------------------


class _UpSampling(_Spatial):
    _config_attributes: ClassVar[tuple[str, ...]] = ("size", "data_format")

    def __init__(self, size: Any = 2, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.size: Any = lengths(size, self.rank, f"{self.name}: size")

    def call(self, inputs: Any) -> Any:
        factors = (self.size,) if isinstance(self.size, int) else self.size
        # Each entry along an axis becomes a row of copies: a broadcast, without looking anything up.
        shape = inputs.shape
        axes = self._on_all_axes(factors, 1)
        paired = [part for length in shape for part in (length, 1)]
        spread = [part for length, factor in zip(shape, axes, strict=True) for part in (length, factor)]
        whole = [length * factor for length, factor in zip(shape, axes, strict=True)]
        return ops.reshape(ops.broadcast_to(ops.reshape(inputs, paired), spread), whole)


@registered("keras.layers")
class UpSampling1D(_UpSampling):
    """Each step several times.

    Args:
        size: how often; default 2.
    """

    rank = 1
    _config_attributes = ("size",)

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(size, "channels_last", **kwargs)
        self.size = self.size[0]


_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


@registered("keras.layers")
class UpSampling2D(_UpSampling):
    """Each row and column several times, or interpolated between.

    Args:
        size: one factor or two; default 2.
        data_format: "channels_last" or "channels_first"; default: the global one.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".
    """

    rank = 2
    _config_attributes = ("size", "data_format", "interpolation")

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        self.interpolation = interpolation.lower()
        if self.interpolation not in _INTERPOLATIONS:
            raise ValueError(
                f"Layer {self.name!r}: `interpolation` must be one of {', '.join(_INTERPOLATIONS)}. "
                f"Received: {interpolation!r}"
            )

    def call(self, inputs: Any) -> Any:
        axes = (1, 2) if self.data_format == "channels_last" else (2, 3)
        size = [inputs.shape[axis] * factor for axis, factor in zip(axes, self.size, strict=True)]
        return ops.image.resize(inputs, size, self.interpolation, data_format=self.data_format)


@registered("keras.layers")
class UpSampling3D(_UpSampling):
    """Each position several times along three axes; options as `UpSampling2D`, without interpolation."""

    rank = 3
