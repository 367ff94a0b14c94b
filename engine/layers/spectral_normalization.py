"""SpectralNormalization: a wrapper that keeps a layer's kernel at a spectral norm of 1 (Miyato et al., 2018)."""

from __future__ import annotations

from typing import Any

from engine import initializers, ops
from engine.layers.input_spec import InputSpec
from engine.layers.wrappers import Wrapper
from engine.registry import registered


@registered("keras.layers")
class SpectralNormalization(Wrapper):
    """Divides a layer's kernel by its largest singular value, estimated by power iteration, at each training step.

    Args:
        layer: has a `kernel` or `embeddings`.
        power_iterations: steps of the estimate for each call.
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(
                f"Layer {self.name!r}: `power_iterations` must be a positive integer. Received: {power_iterations!r}"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if kernel is None:
            raise ValueError(
                f"Layer {self.name!r}: the layer inside has neither a kernel nor embeddings. Received: {self.layer!r}"
            )
        self.kernel = kernel
        self.vector_u = self.add_weight(
            (1, kernel.shape[-1]),
            name="vector_u",
            initializer=initializers.TruncatedNormal(stddev=0.02),
            dtype=kernel.dtype,
            trainable=False,
        )

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if training:
            self._normalize()
        return ops.cast(self.layer(inputs), inputs.dtype)

    def _normalize(self) -> None:
        kernel = ops.stop_gradient(ops.convert_to_tensor(self.kernel))
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
        right = ops.convert_to_tensor(self.vector_u)
        for _ in range(self.power_iterations):
            left = ops.normalize(ops.einsum("ab,cb->ac", right, matrix), axis=None)
            right = ops.normalize(ops.matmul(left, matrix), axis=None)
        norm = ops.einsum("ab,ab->", ops.matmul(left, matrix), right)
        # A kernel of zeros stays one, and so does the estimate.
        empty = ops.all(ops.equal(kernel, 0))
        self.vector_u.assign(ops.where(empty, ops.convert_to_tensor(self.vector_u), right))
        self.kernel.assign(ops.where(empty, kernel, kernel / ops.where(empty, ops.ones_like(norm), norm)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}
