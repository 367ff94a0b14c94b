"""Gradient descent, with momentum and Nesterov's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.optimizers.optimizer import Optimizer
from engine.primitives.update import momentum_update, sgd_update
from engine.registry import registered
from engine.variable import Variable


@registered("keras.optimizers", "sgd")
class SGD(Optimizer):
    """`w - learning_rate * g`, or a velocity that keeps `momentum` of itself.

    Args:
        momentum: in 0..1.
        nesterov: whether the gradient's step is taken from where momentum leads.
        Others as in `Optimizer`.

    Raises:
        ValueError: momentum lies outside 0..1.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        if not isinstance(momentum, (int, float)) or not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum must be a number in 0..1. Received: {momentum!r}")
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        gradient = ops.cast(gradient, variable.dtype.name)
        rate = ops.cast(learning_rate, variable.dtype.name)
        if not self.momentum:
            self.assign(variable, sgd_update(variable, gradient, rate))
            return
        velocity = self._velocities[self._get_variable_index(variable)]
        updated, moved = momentum_update(
            variable, velocity, gradient, rate, momentum=self.momentum, nesterov=self.nesterov
        )
        self.assign(variable, updated)
        self.assign(velocity, moved)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
