"""Activations with settings or weights, as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import activations, constraints, initializers, ops, regularizers
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.registry import registered


class _Elementwise(Layer):
    """A layer without weights that keeps the shape and passes masks on."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def _at_least_zero(self, name: str, value: Any) -> None:
        if not isinstance(value, (int, float)) or value < 0:
            raise ValueError(f"Layer {self.name!r}: `{name}` must be a number from 0 on. Received: {value!r}")


@registered("keras.layers")
class ReLU(_Elementwise):
    """x from `threshold` on, at most `max_value`; below it negative_slope · (x - threshold).

    Args:
        max_value: from 0 on; default: no limit.
        negative_slope, threshold: from 0 on; default 0.
    """

    _config_attributes = ("max_value", "negative_slope", "threshold")

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float | None = 0.0,
        threshold: float | None = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None:
            self._at_least_zero("max_value", max_value)
        self._at_least_zero("negative_slope", negative_slope)
        self._at_least_zero("threshold", threshold)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope or 0.0, self.max_value, self.threshold or 0.0)


@registered("keras.layers")
class LeakyReLU(_Elementwise):
    """x above 0, negative_slope · x below.

    Args:
        negative_slope: from 0 on; default 0.3.
    """

    _config_attributes = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = kwargs.pop("alpha", negative_slope)  # Keras 2's name
        super().__init__(**kwargs)
        self._at_least_zero("negative_slope", negative_slope)
        self.negative_slope = negative_slope

    def call(self, inputs: Any) -> Any:
        return ops.leaky_relu(inputs, self.negative_slope)


@registered("keras.layers")
class ELU(_Elementwise):
    """x above 0, alpha · (exp(x) - 1) below.

    Args:
        alpha: default 1.
    """

    _config_attributes = ("alpha",)

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return ops.elu(inputs, self.alpha)


@registered("keras.layers")
class Softmax(_Elementwise):
    """exp(x) divided by its sum along an axis, or several.

    Args:
        axis: default: the last.

    Where a mask is passed and does not hold, the result is 0.
    """

    _config_attributes = ("axis",)

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            # A number that no exponential survives, yet finite: rows without any true entry stay finite too.
            lowest = -3e4 if inputs.dtype.name == "float16" else -1e9
            inputs = inputs + (1.0 - ops.cast(mask, inputs.dtype)) * lowest
        outputs = ops.softmax(inputs, self.axis)
        return outputs if mask is None else outputs * ops.cast(mask, outputs.dtype)


@registered("keras.layers")
class PReLU(Layer):
    """x above 0, alpha · x below, where alpha is learned.

    Args:
        alpha_initializer: first value; default zeros.
        alpha_regularizer, alpha_constraint: penalty and constraint.
        shared_axes: axes, counted from 1, along which one alpha serves all.
    """

    _config_attributes = ("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes")

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        shared = [shared_axes] if isinstance(shared_axes, int) else shared_axes
        self.shared_axes = None if shared is None else list(shared)

    def build(self, input_shape: Any) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            shape[axis - 1] = 1
        if None in shape:
            raise ValueError(
                f"Layer {self.name!r} needs known lengths along axes that are not shared. Received: {input_shape}"
            )
        self.alpha = self.add_weight(
            shape,
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        axes = {
            axis: length for axis, length in enumerate(input_shape) if axis and axis not in (self.shared_axes or ())
        }
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)

    def call(self, inputs: Any) -> Any:
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)
