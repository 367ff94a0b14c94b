"""Adaptive pooling: outputs of a given size, whatever the size of the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from engine import ops
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.ops.windows import lengths, standard_data_format
from engine.registry import registered


class _AdaptivePooling(Layer):
    """Pooling of as many windows as the output is to have entries.

    Args:
        output_size: of the spatial axes: one integer, or one for each.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    rank: ClassVar[int]
    _pool: ClassVar[Callable[..., Any]]
    _config_attributes = ("output_size", "data_format")

    def __init__(self, output_size: int | Sequence[int], data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        try:
            self.output_size = lengths(output_size, self.rank, "output_size")
            self.data_format = standard_data_format(data_format)
        except ValueError as error:
            raise ValueError(f"Layer {self.name!r}: {error}") from None
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        return type(self)._pool(inputs, self.output_size, self.data_format)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.data_format == "channels_last":
            return (input_shape[0], *self.output_size, input_shape[-1])
        return (*input_shape[:2], *self.output_size)


class _AdaptiveAverage(_AdaptivePooling):
    _pool = staticmethod(ops.adaptive_average_pool)


class _AdaptiveMax(_AdaptivePooling):
    _pool = staticmethod(ops.adaptive_max_pool)


@registered("keras.layers")
class AdaptiveAveragePooling1D(_AdaptiveAverage):
    """The mean of `output_size` windows; options as `AdaptiveAveragePooling2D`."""

    rank = 1


@registered("keras.layers")
class AdaptiveAveragePooling2D(_AdaptiveAverage):
    """The mean of windows that make an output of a given size; along an axis, lengths differ by one at most.

    Args:
        output_size: of the spatial axes: one integer or two.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    rank = 2


@registered("keras.layers")
class AdaptiveAveragePooling3D(_AdaptiveAverage):
    """The mean of windows over three spatial axes; options as `AdaptiveAveragePooling2D`."""

    rank = 3


@registered("keras.layers")
class AdaptiveMaxPooling1D(_AdaptiveMax):
    """The maximum of `output_size` windows; options as `AdaptiveAveragePooling2D`."""

    rank = 1


@registered("keras.layers")
class AdaptiveMaxPooling2D(_AdaptiveMax):
    """The maximum of windows; options as `AdaptiveAveragePooling2D`."""

    rank = 2


@registered("keras.layers")
class AdaptiveMaxPooling3D(_AdaptiveMax):
    """The maximum of windows over three spatial axes; options as `AdaptiveAveragePooling2D`."""

    rank = 3
