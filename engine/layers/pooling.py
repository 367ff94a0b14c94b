"""Pooling: the maximum or mean of windows, or of everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from engine import ops
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.ops.windows import lengths, standard_data_format
from engine.registry import registered

Lengths = int | Sequence[int]


class _Pooling(Layer):
    """Pooling of windows.

    Args:
        pool_size: the window: one integer, or one for each spatial axis.
        strides: default: the window.
        padding: "valid" or "same"; what is padded never counts.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    rank: ClassVar[int]
    _pool: ClassVar[Callable[..., Any]]
    _config_attributes = ("pool_size", "padding", "strides", "data_format")

    def __init__(
        self,
        pool_size: Lengths,
        strides: Lengths | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        try:
            self.pool_size = lengths(pool_size, self.rank, "pool_size")
            self.strides = self.pool_size if strides is None else lengths(strides, self.rank, "strides")
            self.data_format = standard_data_format(data_format)
        except ValueError as error:
            raise ValueError(f"Layer {self.name!r}: {error}") from None
        self.padding = padding.lower() if isinstance(padding, str) else padding
        if self.padding not in ("valid", "same"):
            raise ValueError(f"Layer {self.name!r}: `padding` must be 'valid' or 'same'. Received: {padding!r}")
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return type(self)._pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class _MaxPooling(_Pooling):
    _pool = staticmethod(ops.max_pool)

    def __init__(
        self,
        pool_size: Lengths = 2,
        strides: Lengths | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


@registered("keras.layers", "MaxPool1D")
class MaxPooling1D(_MaxPooling):
    """The maximum of windows over one spatial axis; options as `MaxPooling2D`."""

    rank = 1


@registered("keras.layers", "MaxPool2D")
class MaxPooling2D(_MaxPooling):
    """The maximum of windows over two spatial axes.

    Args:
        pool_size: the window: one integer or two; default 2.
        strides: default: the window.
        padding: "valid" or "same"; what is padded never counts.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    rank = 2


@registered("keras.layers", "MaxPool3D")
class MaxPooling3D(_MaxPooling):
    """The maximum of windows over three spatial axes; options as `MaxPooling2D`."""

    rank = 3


@registered("keras.layers", "AvgPool1D")
class AveragePooling1D(_Pooling):
    """The mean of windows over one spatial axis; options as `MaxPooling2D`, with `pool_size` required."""

    rank = 1
    _pool = staticmethod(ops.average_pool)


@registered("keras.layers", "AvgPool2D")
class AveragePooling2D(_Pooling):
    """The mean of windows over two spatial axes; options as `MaxPooling2D`, with `pool_size` required."""

    rank = 2
    _pool = staticmethod(ops.average_pool)


@registered("keras.layers", "AvgPool3D")
class AveragePooling3D(_Pooling):
    """The mean of windows over three spatial axes; options as `MaxPooling2D`, with `pool_size` required."""

    rank = 3
    _pool = staticmethod(ops.average_pool)


class _GlobalPooling(Layer):
    """Pooling of all spatial positions.

    Args:
        data_format: "channels_last" or "channels_first"; default: the global one.
        keepdims: spatial axes stay, with length 1.
    """

    rank: ClassVar[int]
    _reduce: ClassVar[Callable[..., Any]]
    _config_attributes = ("data_format", "keepdims")

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = standard_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def _spatial_axes(self) -> tuple[int, ...]:
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def call(self, inputs: Any) -> Any:
        return type(self)._reduce(inputs, self._spatial_axes(), self.keepdims)


class _GlobalAverage(_GlobalPooling):
    _reduce = staticmethod(ops.mean)


class _GlobalMax(_GlobalPooling):
    _reduce = staticmethod(ops.max)


@registered("keras.layers", "GlobalAvgPool1D")
class GlobalAveragePooling1D(_GlobalAverage):
    """The mean over the spatial axis; with a mask (batch, steps), over the steps where it holds."""

    rank = 1

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        axis = self._spatial_axes()[0]
        counted = ops.expand_dims(ops.cast(mask, inputs.dtype), 3 - axis)
        total = ops.sum(inputs * counted, axis, self.keepdims)
        return total / ops.sum(counted, axis, self.keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None  # no steps are left


@registered("keras.layers", "GlobalAvgPool2D")
class GlobalAveragePooling2D(_GlobalAverage):
    """The mean over both spatial axes. Args: `data_format`, and `keepdims` to keep these axes with length 1."""

    rank = 2


@registered("keras.layers", "GlobalAvgPool3D")
class GlobalAveragePooling3D(_GlobalAverage):
    """The mean over the three spatial axes; options as `GlobalAveragePooling2D`."""

    rank = 3


@registered("keras.layers", "GlobalMaxPool1D")
class GlobalMaxPooling1D(_GlobalMax):
    """The maximum over the spatial axis; options as `GlobalAveragePooling2D`."""

    rank = 1


@registered("keras.layers", "GlobalMaxPool2D")
class GlobalMaxPooling2D(_GlobalMax):
    """The maximum over both spatial axes; options as `GlobalAveragePooling2D`."""

    rank = 2


@registered("keras.layers", "GlobalMaxPool3D")
class GlobalMaxPooling3D(_GlobalMax):
    """The maximum over the three spatial axes; options as `GlobalAveragePooling2D`."""

    rank = 3
