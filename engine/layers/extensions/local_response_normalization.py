"""LocalResponseNormalization: numbers divided by the strength of the channels around them."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.layer import Layer
from engine.registry import registered

SIZE_LIMIT = 1024
"""Channels that a window may have: each is a sum of its own."""


@registered("beagle.layers")
class LocalResponseNormalization(Layer):
    """x / (bias + alpha / size · the sum of the squares of `size` channels around each) ** beta.

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks" (2012);
    alpha is divided by `size` as in ONNX and Caffe.

    Args:
        size: how many channels count, those beyond the ends as 0; of an even number, one more lies behind.
        alpha, beta, bias: as in the formula.

    The channels are the last axis.

    Raises:
        ValueError: `size` is not from 1 to `SIZE_LIMIT`.
    """

    _config_attributes = ("size", "alpha", "beta", "bias")

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(size, int) or not 1 <= size <= SIZE_LIMIT:
            raise ValueError(f"Layer {self.name!r}: `size` must be from 1 to {SIZE_LIMIT}. Received: {size!r}")
        self.size, self.alpha, self.beta, self.bias = size, float(alpha), float(beta), float(bias)
        self.built = True

    def call(self, inputs: Any) -> Any:
        before = (self.size - 1) // 2
        channels = inputs.shape[-1]
        widths = [(0, 0)] * (len(inputs.shape) - 1) + [(before, self.size - 1 - before)]
        squares = ops.pad(ops.square(inputs), widths)
        total = squares[..., :channels]
        for offset in range(1, self.size):
            total = total + squares[..., offset : offset + channels]
        return inputs / ops.power(self.bias + total * (self.alpha / self.size), self.beta)
