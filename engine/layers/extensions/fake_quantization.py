"""FakeQuantization: numbers rounded to those that an integer times a scale can be, in floating point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.layers.layer import Layer
from engine.registry import registered


@registered("beagle.layers")
class FakeQuantization(Layer):
    """(clip(round(x / scale) + zero point, low, high) - zero point) · scale; rounding is half to even.

    While training, the gradient goes through as if nothing were rounded (the straight-through estimator: Bengio,
    Léonard and Courville, "Estimating or propagating gradients through stochastic neurons" (2013)).

    Args:
        shape: of scale and zero point; they broadcast against the inputs as NumPy's arrays do.
        low, high: the least and the largest integer.
    """

    _config_attributes = ("shape", "low", "high")

    def __init__(self, shape: Sequence[int] = (), low: int = -128, high: int = 127, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if low >= high:
            raise ValueError(f"Layer {self.name!r}: `low` must be below `high`. Received: {low} and {high}")
        self.shape, self.low, self.high = tuple(shape), int(low), int(high)

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(self.shape, initializer="ones", trainable=False, name="scale")
        self.zero_point = self.add_weight(self.shape, initializer="zeros", trainable=False, name="zero_point")

    def quantized(self, inputs: Any) -> Any:
        """The integers, as floats."""
        return ops.clip(ops.round(inputs / self.scale) + self.zero_point, float(self.low), float(self.high))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        outputs = (self.quantized(inputs) - self.zero_point) * self.scale
        return inputs + ops.stop_gradient(outputs - inputs) if training else outputs
