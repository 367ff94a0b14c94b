"""SupportVectors: how like each of some vectors the inputs are, by a kernel."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.registry import registered

KERNELS = ("linear", "poly", "rbf", "sigmoid")


@registered("beagle.layers")
class SupportVectors(Layer):
    """The kernel of each of the inputs (batch, features) with each vector: (batch, vectors).

    With d the scalar product: "linear" d; "poly" (gamma · d + offset) ** degree; "sigmoid" tanh(gamma · d + offset);
    "rbf" exp(-gamma · |input - vector|²).

    Args:
        count: how many vectors.
        kernel: one of `KERNELS`.
        gamma, offset, degree: of the kernel.
    """

    _config_attributes = ("count", "kernel", "gamma", "offset", "degree")

    def __init__(
        self,
        count: int,
        kernel: str = "linear",
        gamma: float = 1.0,
        offset: float = 0.0,
        degree: float = 3.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kernel not in KERNELS:
            raise ValueError(f"Layer {self.name!r}: `kernel` must be one of {', '.join(KERNELS)}. Received: {kernel!r}")
        self.count, self.kernel, self.gamma, self.offset, self.degree = count, kernel, gamma, offset, degree
        self.input_spec = InputSpec(ndim=2)

    def build(self, input_shape: Any) -> None:
        self.vectors = self.add_weight((self.count, input_shape[-1]), initializer="zeros", name="vectors")

    def call(self, inputs: Any) -> Any:
        if self.kernel == "rbf":
            return ops.exp(ops.multiply(self._square_distances(inputs), -self.gamma))
        product = ops.matmul(inputs, ops.transpose(self.vectors, (1, 0)))
        if self.kernel == "linear":
            return product
        product = ops.add(ops.multiply(product, self.gamma), self.offset)
        return ops.tanh(product) if self.kernel == "sigmoid" else ops.power(product, self.degree)

    def _square_distances(self, inputs: Any) -> Any:
        """|a|² + |b|² - 2ab, of both about the vectors' mean: there the three are of the size of their sum."""
        centre = ops.mean(self.vectors, axis=0, keepdims=True)
        vectors, inputs = ops.subtract(self.vectors, centre), ops.subtract(inputs, centre)
        own = ops.sum(ops.square(inputs), axis=1, keepdims=True)
        others = ops.sum(ops.square(vectors), axis=1)
        product = ops.matmul(inputs, ops.transpose(vectors, (1, 0)))
        return ops.maximum(ops.subtract(ops.add(own, others), ops.multiply(product, 2.0)), 0.0)
