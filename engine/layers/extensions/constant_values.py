"""ConstantValues: an array that belongs to the network, whatever goes in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from engine import ops
from engine.dtypes import as_dtype, is_float
from engine.layers.layer import Layer
from engine.registry import registered


@registered("beagle.layers")
class ConstantValues(Layer):
    """An array of a fixed shape: one operand of functions of several.

    Args:
        shape: of the array.
        constant_dtype: of the array; floats are trained with the network, others stay.
    """

    _config_attributes: ClassVar[tuple[str, ...]] = ("shape", "constant_dtype")

    def __init__(self, shape: Sequence[int], constant_dtype: str = "float32", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.constant_dtype = as_dtype(constant_dtype).name

    def build(self, input_shape: Any) -> None:
        self.constant = self.add_weight(
            self.shape,
            initializer="zeros",
            dtype=self.constant_dtype,
            trainable=is_float(as_dtype(self.constant_dtype)),
            name="constant",
        )

    def call(self, inputs: Any) -> Any:
        return ops.convert_to_tensor(self.constant)
