"""Global settings (`keras.config`): the default float type, the fuzz factor, the data format, the device."""

from __future__ import annotations

from engine.dtype_policies import dtype_policy, set_dtype_policy
from engine.dtypes import floatx, set_floatx
from engine.primitives.dispatch import device, set_device

_epsilon = 1e-7
_image_data_format = "channels_last"


def epsilon() -> float:
    """The fuzz factor that keeps divisions and logarithms finite, 1e-7 unless `set_epsilon` changed it."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets the fuzz factor."""
    global _epsilon
    _epsilon = float(value)


def image_data_format() -> str:
    """The data format of layers that are not told one, "channels_last" unless `set_image_data_format` changed it."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Sets the default data format: "channels_last" or "channels_first"."""
    global _image_data_format
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"data_format must be 'channels_last' or 'channels_first'. Received: {data_format!r}")
    _image_data_format = data_format


__all__ = [
    "device",
    "dtype_policy",
    "epsilon",
    "floatx",
    "image_data_format",
    "set_device",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]
