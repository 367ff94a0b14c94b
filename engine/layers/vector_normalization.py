"""Normalisation by a vector's length: to a root mean square of 1, or to a length of 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.layers.layer import Layer
from engine.registry import registered


@registered("keras.layers")
class RMSNormalization(Layer):
    """Divides each example by its root mean square over some axes, then multiplies by a learned scale.

    Args:
        axis: one axis or several.
        epsilon: added to the mean of the squares.
    """

    _config_attributes = ("axis", "epsilon")

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis: Any = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        self.axis = sorted(self.axis) if isinstance(self.axis, list) else [self.axis]  # as built layers are written
        lengths = [input_shape[axis] for axis in self.axis]
        if None in lengths:
            raise ValueError(f"Layer {self.name!r} needs known axes {self.axis}. Received: input shape {input_shape}")
        self.scale = self.add_weight(lengths, name="scale", initializer="ones")

    def call(self, x: Any) -> Any:
        return ops.rms_normalization(x, self.scale, self.axis, self.epsilon)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)


@registered("keras.layers")
class UnitNormalization(Layer):
    """Divides each example by its Euclidean length over some axes.

    Args:
        axis: one axis or several.
    """

    _config_attributes = ("axis",)

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axis, (int, list, tuple)):
            raise TypeError(f"Layer {self.name!r}: `axis` must be an integer or a list of them. Received: {axis!r}")
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return ops.normalize(inputs, self.axis, order=2, epsilon=1e-12)
