"""GroupNormalization: each example's channels in groups, each group normalised by itself (Wu and He, 2018)."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.input_spec import InputSpec
from engine.layers.normalization import NORMALIZATION_PARAMETERS, Normalizing
from engine.ops.axes import one_axis
from engine.registry import registered


@registered("keras.layers")
class GroupNormalization(Normalizing):
    """Brings each group of channels of each example to mean 0 and standard deviation 1, then scales and shifts.

    Args:
        groups: how many groups; they divide the channels. -1: one for each channel (instance normalisation).
        axis: of the channels.
        epsilon: added to the variance.
        center, scale: whether there are an offset beta and a scale gamma, for each channel.
        beta_…, gamma_…: first values, penalties, constraints.
    """

    _config_attributes = ("groups", "axis", "epsilon", *NORMALIZATION_PARAMETERS)

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        if not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise ValueError(f"Layer {self.name!r}: `groups` must be a positive integer or -1. Received: {groups!r}")
        self.groups, self.axis, self.epsilon = groups, axis, epsilon

    def build(self, input_shape: Any) -> None:
        place = one_axis(self.axis, len(input_shape))
        channels = input_shape[place]
        if channels is None or place == 0:
            raise ValueError(f"Layer {self.name!r} needs a known axis {self.axis}. Received: input shape {input_shape}")
        self.groups = channels if self.groups == -1 else self.groups
        if channels % self.groups:
            raise ValueError(
                f"Layer {self.name!r}: the channels must be a multiple of `groups`={self.groups}. Received: {channels}"
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self._add_parameters((channels,), self.scale, self.center)

    def call(self, inputs: Any) -> Any:
        shape = tuple(inputs.shape)
        place = one_axis(self.axis, len(shape))
        split = (self.groups, shape[place] // self.groups)
        wide = ops.cast(inputs, "float32") if inputs.dtype.itemsize < 4 else inputs
        grouped = ops.reshape(wide, (*shape[:place], *split, *shape[place + 1 :]))
        axes = [axis for axis in range(1, len(shape) + 1) if axis != place]
        mean = ops.mean(grouped, axes, keepdims=True)
        variance = ops.mean(ops.square(grouped - mean), axes, keepdims=True)
        along = tuple(length if axis == place else 1 for axis, length in enumerate(shape))
        outputs = ops.reshape((grouped - mean) * ops.rsqrt(variance + self.epsilon), shape)
        if self.gamma is not None:
            outputs = outputs * ops.reshape(ops.cast(self.gamma, outputs.dtype), along)
        if self.beta is not None:
            outputs = outputs + ops.reshape(ops.cast(self.beta, outputs.dtype), along)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)
