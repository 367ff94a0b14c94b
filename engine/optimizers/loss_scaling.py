"""LossScaleOptimizer: keeps gradients of half precision within range by a scale that follows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.optimizers.optimizer import Optimizer
from engine.registry import deserialize, registered, serialize
from engine.variable import Variable


@registered("keras.optimizers")
class LossScaleOptimizer(Optimizer):
    """Multiplies the loss by a scale, and divides the gradients by it before another optimizer gets them.

    Steps whose gradients are not finite are left out, and halve the scale; after so many finite ones it doubles.

    Args:
        inner_optimizer: makes the steps.
        initial_scale: the first scale.
        dynamic_growth_steps: after how many finite steps the scale doubles.
        name: default: the class's name in snake case.
        kwargs: the common options of optimizers, which must have their defaults: they belong to the inner one.
    """

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = {key: value for key, value in kwargs.items() if _DEFAULTS.get(key, _MISSING) != value}
        if given:
            raise ValueError(f"LossScaleOptimizer: set these on the inner optimizer: {given}")
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def build(self, variables: Sequence[Variable]) -> None:
        if not self.built:
            self._finite_steps = self.add_variable((), dtype="int32", name="step_counter")
            self.dynamic_scale = self.add_variable((), dtype="float32", name="dynamic_scale")
            self.dynamic_scale.assign(np.float32(self.initial_scale))
            self.inner_optimizer.build(variables)
            super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        """The scale's state, then that of the inner optimizer."""
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def step_counter(self) -> Variable:
        """The inner optimizer's."""
        counter: Variable = self.inner_optimizer.step_counter
        return counter

    @property
    def iterations(self) -> Any:
        """How many updates the inner optimizer made."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the present scale."""
        return loss * ops.cast(self.dynamic_scale if self.built else self.initial_scale, loss.dtype.name)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """One step of the inner optimizer where all gradients are finite, and the scale's own. See `Optimizer`."""
        variables = list(self._trainable_variables if trainable_variables is None else trainable_variables)
        if not self.built:
            self.build(variables)
        found = [ops.convert_to_tensor(gradient) for gradient in grads if gradient is not None]
        finite: Any = ops.convert_to_tensor(True)
        for gradient in found:
            finite = ops.logical_and(finite, ops.all(ops.isfinite(gradient)))
        scale = ops.convert_to_tensor(self.dynamic_scale)
        scaled = [None if gradient is None else gradient / ops.cast(scale, gradient.dtype.name) for gradient in grads]
        state = [*variables, *self.inner_optimizer.variables]
        before = [ops.convert_to_tensor(variable) for variable in state]
        self.inner_optimizer.apply(scaled, variables)
        for variable, value in zip(state, before, strict=True):
            variable.assign(ops.where(finite, ops.convert_to_tensor(variable), value))
        grown = ops.logical_and(finite, ops.equal(self._finite_steps, self.dynamic_growth_steps - 1))
        counted = ops.logical_and(finite, ops.logical_not(grown))
        self.dynamic_scale.assign(scale * ops.where(finite, ops.where(grown, 2.0, 1.0), 0.5))
        self._finite_steps.assign(ops.where(counted, self._finite_steps + 1, 0))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """As the inner optimizer does it."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def saveable_children(self) -> dict[str, Any]:
        return {"inner_optimizer": self.inner_optimizer}

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inner_optimizer": serialize(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        config = dict(config)
        return cls(deserialize(config.pop("inner_optimizer"), custom_objects), **config)


_MISSING: Any = object()
_DEFAULTS = {
    "dynamic": True,
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
