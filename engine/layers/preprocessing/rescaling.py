"""Rescaling: inputs brought to another range by a scale and an offset."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.config import image_data_format
from engine.layers.layer import Layer
from engine.registry import deserialize, registered


@registered("keras.layers")
class Rescaling(Layer):
    """inputs · scale + offset, in the layer's dtype whatever that of the inputs.

    Args:
        scale, offset: numbers, or one for each channel; offset 0 by default.
    """

    _config_attributes = ("scale", "offset")

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True

    def _by_channel(self, value: Any) -> Any:
        constant = ops.convert_to_tensor(value, self.compute_dtype)
        if constant.ndim and image_data_format() == "channels_first":
            return ops.reshape(constant, constant.shape + (1,) * (3 - constant.ndim))
        return constant

    def call(self, inputs: Any) -> Any:
        scaled = ops.cast(inputs, self.compute_dtype) * self._by_channel(self.scale)
        return scaled + self._by_channel(self.offset)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Rescaling:
        arrays = {key: deserialize(config[key]) for key in ("scale", "offset") if key in config}
        return cls(**(config | arrays))
