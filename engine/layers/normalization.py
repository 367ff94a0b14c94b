"""Batch and layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import constraints, initializers, ops, regularizers
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.ops.axes import many_axes
from engine.ops.neural import batch_normalization_training
from engine.registry import registered
from engine.variable import Variable

_PARAMETERS = (
    "center",
    "scale",
    "beta_initializer",
    "gamma_initializer",
    "beta_regularizer",
    "gamma_regularizer",
    "beta_constraint",
    "gamma_constraint",
)


class _Normalization(Layer):
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

    def _add_parameters(self, shape: Sequence[int]) -> None:
        # They stay in their own dtype in mixed precision: the arithmetic inside is float32.
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                name="gamma",
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                name="beta",
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
            )


@registered("keras.layers")
class BatchNormalization(_Normalization):
    """Brings each channel to mean beta and standard deviation gamma over the batch.

    While training, mean and variance are those of the batch, and moving averages of them are kept; otherwise, or
    while the layer is frozen, the moving averages are used.

    Args:
        axis: the channel axis.
        momentum: of the moving averages: moving · momentum + batch · (1 - momentum).
        epsilon: added to the variance.
        center, scale: whether there are an offset beta and a scale gamma.
        beta_…, gamma_…, moving_mean_…, moving_variance_initializer: first values, penalties, constraints.
        renorm, renorm_clipping, renorm_momentum: batch renormalisation is not supported: `renorm` must be False.
        synchronized: concerns several devices; changes nothing on one.
    """

    _config_attributes = (
        "axis",
        "momentum",
        "epsilon",
        *_PARAMETERS,
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
            raise ValueError(f"Layer {self.name!r}: batch renormalisation (renorm=True) is not supported.")
        self.axis, self.momentum, self.epsilon = axis, float(momentum), float(epsilon)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm, self.renorm_clipping, self.renorm_momentum = renorm, renorm_clipping, renorm_momentum
        self.synchronized = synchronized

    def build(self, input_shape: Any) -> None:
        (axis,) = many_axes(self.axis, len(input_shape))
        length = input_shape[axis]
        if length is None:
            raise ValueError(f"Layer {self.name!r} needs a known axis {self.axis}. Received: input shape {input_shape}")
        self._add_parameters((length,))
        statistics: dict[str, Any] = {"shape": (length,), "trainable": False, "autocast": False}
        self.moving_mean = self.add_weight(name="moving_mean", initializer=self.moving_mean_initializer, **statistics)
        self.moving_variance = self.add_weight(
            name="moving_variance", initializer=self.moving_variance_initializer, **statistics
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: length})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable):
            return ops.batch_normalization(
                inputs, self.moving_mean, self.moving_variance, self.axis, self.beta, self.gamma, self.epsilon
            )
        outputs, mean, variance = batch_normalization_training(inputs, self.axis, self.beta, self.gamma, self.epsilon)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            fresh = ops.stop_gradient(ops.cast(batch, moving.dtype))
            moving.assign(moving * self.momentum + fresh * (1.0 - self.momentum))
        return outputs


@registered("keras.layers")
class LayerNormalization(_Normalization):
    """Brings each example to mean beta and standard deviation gamma over some of its axes.

    Args:
        axis: one axis or several.
        epsilon: added to the variance.
        center, scale: whether there are an offset beta and a scale gamma, each of the shape of these axes.
        beta_…, gamma_…: first values, penalties, constraints.
        rms_scaling: only False is supported.
    """

    _config_attributes = ("axis", "epsilon", "rms_scaling", *_PARAMETERS)

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
        if kwargs.pop("rms_scaling", False):
            raise ValueError("LayerNormalization(rms_scaling=True) is not supported.")
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
        self.rms_scaling = False

    def build(self, input_shape: Any) -> None:
        axes = many_axes(self.axis, len(input_shape))
        lengths = [input_shape[axis] for axis in axes]
        if None in lengths:
            raise ValueError(f"Layer {self.name!r} needs known axes {self.axis}. Received: input shape {input_shape}")
        self._add_parameters(lengths)
        self.axis = self.axis if isinstance(self.axis, list) else [self.axis]  # as built layers are written

    def call(self, inputs: Any) -> Any:
        return ops.layer_normalization(inputs, self.gamma, self.beta, self.axis, self.epsilon)
