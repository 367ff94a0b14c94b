"""Batch and layer normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine import constraints, initializers, ops, regularizers
from engine.config import epsilon
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.ops.axes import many_axes
from engine.ops.neural import batch_normalization_training
from engine.registry import registered
from engine.variable import Variable

NORMALIZATION_PARAMETERS = (
    "center",
    "scale",
    "beta_initializer",
    "gamma_initializer",
    "beta_regularizer",
    "gamma_regularizer",
    "beta_constraint",
    "gamma_constraint",
)


class Normalizing(Layer):
    """What normalisations share: a scale gamma and an offset beta, each optional, with their options."""

    def __init__(
        self,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.center, self.scale = center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def _add_parameters(self, shape: Sequence[int], scale: bool, center: bool) -> None:
        # They stay in their own dtype in mixed precision: the arithmetic inside is float32.
        if scale:
            self.gamma = self.add_weight(
                shape,
                name="gamma",
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
            )
        if center:
            self.beta = self.add_weight(
                shape,
                name="beta",
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
            )


@registered("keras.layers")
class BatchNormalization(Normalizing):
    """Brings each channel to mean beta and standard deviation gamma over the batch.

    While training, mean and variance are those of the batch, and moving averages of them are kept; otherwise, or
    while the layer is frozen, the moving averages are used.

    Args:
        axis: the channel axis.
        momentum: of the moving averages: moving · momentum + batch · (1 - momentum).
        epsilon: added to the variance.
        center, scale: whether there are an offset beta and a scale gamma.
        beta_…, gamma_…, moving_mean_…, moving_variance_initializer: first values, penalties, constraints.
        renorm: batch renormalisation (Ioffe, 2017): while training, batches are corrected towards moving averages.
        renorm_clipping: limits "rmin", "rmax" of the scale and "dmax" of the offset of the correction.
        renorm_momentum: of the averages that the correction is made from.
        synchronized: concerns several devices; changes nothing on one.
    """

    _config_attributes = (
        "axis",
        "momentum",
        "epsilon",
        *NORMALIZATION_PARAMETERS,
        "moving_mean_initializer",
        "moving_variance_initializer",
        "synchronized",
        "renorm",
        "renorm_clipping",
        "renorm_momentum",
    )

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
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
        if isinstance(axis, (list, tuple)) and len(axis) == 1:  # Keras 2 wrote a list
            axis = axis[0]
        if not isinstance(axis, int):
            raise ValueError(f"Layer {self.name!r}: `axis` must be an integer. Received: {axis!r}")
        if renorm:
            renorm_clipping = self._checked_clipping(renorm_clipping or {})
        self.axis, self.momentum, self.epsilon = axis, float(momentum), float(epsilon)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm, self.renorm_clipping, self.renorm_momentum = renorm, renorm_clipping, renorm_momentum
        self.synchronized = synchronized

    def _checked_clipping(self, clipping: dict[str, float]) -> dict[str, float]:
        limits = (clipping.get("rmin", 0.0), clipping.get("rmax", math.inf), clipping.get("dmax", 0.0))
        if set(clipping) - {"rmin", "rmax", "dmax"} or limits[0] > limits[1] or limits[2] < 0:
            raise ValueError(
                f"Layer {self.name!r}: `renorm_clipping` may hold 'rmin', 'rmax' from 'rmin' on, and 'dmax' from 0 on. "
                f"Received: {clipping}"
            )
        return clipping

    def build(self, input_shape: Any) -> None:
        (axis,) = many_axes(self.axis, len(input_shape))
        length = input_shape[axis]
        if length is None:
            raise ValueError(f"Layer {self.name!r} needs a known axis {self.axis}. Received: input shape {input_shape}")
        self._add_parameters((length,), self.scale, self.center)
        statistics: dict[str, Any] = {"shape": (length,), "trainable": False, "autocast": False}
        self.moving_mean = self.add_weight(name="moving_mean", initializer=self.moving_mean_initializer, **statistics)
        self.moving_variance = self.add_weight(
            name="moving_variance", initializer=self.moving_variance_initializer, **statistics
        )
        if self.renorm:
            variances = self.moving_variance_initializer

            def deviations(shape: Sequence[int], dtype: Any = None) -> Any:
                return ops.sqrt(variances(shape, dtype=dtype))

            self.moving_stddev = self.add_weight(name="moving_stddev", initializer=deviations, **statistics)
            self.renorm_mean = self.add_weight(
                name="renorm_mean", initializer=self.moving_mean_initializer, **statistics
            )
            self.renorm_stddev = self.add_weight(name="renorm_stddev", initializer=deviations, **statistics)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: length})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable):
            return self._normalized(inputs, self.moving_mean, self.moving_variance, self.gamma, self.beta)
        if mask is None and not self.renorm:
            outputs, mean, variance = batch_normalization_training(
                inputs, self.axis, self.beta, self.gamma, self.epsilon
            )
            self._move(self.moving_mean, mean, self.momentum)
            self._move(self.moving_variance, variance, self.momentum)
            return outputs
        mean, variance = self._moments(inputs, mask)
        if not self.renorm:
            self._move(self.moving_mean, mean, self.momentum)
            self._move(self.moving_variance, variance, self.momentum)
            return self._normalized(inputs, mean, variance, self.gamma, self.beta)
        scale, offset = self._correction(mean, variance)
        gamma, beta = (scale, offset) if self.gamma is None else (scale * self.gamma, offset * self.gamma)
        self._move_renormalisation(mean, variance)
        return self._normalized(inputs, mean, variance, gamma, beta if self.beta is None else beta + self.beta)

    def _normalized(self, inputs: Any, mean: Any, variance: Any, gamma: Any, beta: Any) -> Any:
        return ops.batch_normalization(inputs, mean, variance, self.axis, beta, gamma, self.epsilon)

    def _move(self, moving: Any, batch: Any, momentum: float) -> None:
        fresh = ops.stop_gradient(ops.cast(batch, moving.dtype))
        moving.assign(moving * momentum + fresh * (1.0 - momentum))

    def _moments(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        """Mean and variance of the batch where the mask (all axes but the last) holds."""
        wide = ops.cast(inputs, "float32") if inputs.dtype.itemsize < 4 else inputs
        axes = [axis for axis in range(wide.ndim) if axis != self.axis % wide.ndim]
        if mask is None:
            return ops.moments(wide, axes)
        if mask.ndim != wide.ndim - 1:
            raise ValueError(f"expected a mask of one axis less than the inputs. Received: shape {tuple(mask.shape)}")
        counted = ops.broadcast_to(ops.expand_dims(ops.cast(mask, "bool"), -1), wide.shape)
        count = ops.sum(ops.cast(counted, wide.dtype), axes, keepdims=True) + epsilon()
        mean = ops.sum(ops.where(counted, wide, 0.0), axes, keepdims=True) / count
        squares = ops.square(ops.where(counted, wide - mean, 0.0))
        variance = ops.sum(squares, axes, keepdims=True) / count
        return ops.reshape(mean, (-1,)), ops.reshape(variance, (-1,))

    def _correction(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        """By what a normalised batch is multiplied, and what is added, to be as the moving averages would make it."""
        moving = ops.maximum(self.renorm_stddev, math.sqrt(self.epsilon))
        scale = ops.sqrt(variance + self.epsilon) / moving
        offset = (mean - self.renorm_mean) / moving
        limits = self.renorm_clipping
        if limits.get("rmin") is not None:
            scale = ops.maximum(scale, limits["rmin"])
        if limits.get("rmax") is not None:
            scale = ops.minimum(scale, limits["rmax"])
        if limits.get("dmax") is not None:
            offset = ops.clip(offset, -limits["dmax"], limits["dmax"])
        return ops.stop_gradient(scale), ops.stop_gradient(offset)

    def _move_renormalisation(self, mean: Any, variance: Any) -> None:
        deviation = ops.sqrt(variance + self.epsilon)
        self._move(self.renorm_mean, mean, self.renorm_momentum)
        self._move(self.renorm_stddev, deviation, self.renorm_momentum)
        self._move(self.moving_mean, mean, self.momentum)
        self._move(self.moving_stddev, deviation, self.momentum)
        moved = ops.convert_to_tensor(self.moving_stddev)
        self.moving_variance.assign(ops.relu(ops.square(moved) - self.epsilon))


@registered("keras.layers")
class LayerNormalization(Normalizing):
    """Brings each example to mean beta and standard deviation gamma over some of its axes.

    Args:
        axis: one axis or several.
        epsilon: added to the variance.
        center, scale: whether there are an offset beta and a scale gamma, each of the shape of these axes.
        beta_…, gamma_…: first values, penalties, constraints.
        rms_scaling: the mean is left alone, there is no offset, and always a scale.
    """

    _config_attributes = ("axis", "epsilon", "rms_scaling", *NORMALIZATION_PARAMETERS)

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
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
        rms_scaling = kwargs.pop("rms_scaling", False)
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
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.epsilon = float(epsilon)
        self.rms_scaling = rms_scaling

    def build(self, input_shape: Any) -> None:
        axes = many_axes(self.axis, len(input_shape))
        lengths = [input_shape[axis] for axis in axes]
        if None in lengths:
            raise ValueError(f"Layer {self.name!r} needs known axes {self.axis}. Received: input shape {input_shape}")
        self._add_parameters(lengths, self.scale or self.rms_scaling, self.center and not self.rms_scaling)
        self.axis = self.axis if isinstance(self.axis, list) else [self.axis]  # as built layers are written

    def call(self, inputs: Any) -> Any:
        return ops.layer_normalization(
            inputs, self.gamma, self.beta, self.axis, self.epsilon, rms_scaling=self.rms_scaling
        )
