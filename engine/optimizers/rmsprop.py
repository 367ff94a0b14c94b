"""RMSprop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.optimizers.optimizer import Optimizer
from engine.registry import registered
from engine.variable import Variable


@registered("keras.optimizers", "rmsprop")
class RMSprop(Optimizer):
    """Divides gradients by the root of a moving average of their squares (Tieleman and Hinton 2012).

    Args:
        rho: how much of itself the average keeps at a step.
        momentum: of the steps, 0 for none.
        epsilon: added to the average, under the root.
        centered: whether the squared average gradient is taken off first, so that the variance divides.
        Others as in `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum > 0 else []
        self._averages_of_gradients = (
            self.add_optimizer_variables(variables, "average_gradient") if self.centered else []
        )

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        gradient, rate = ops.cast(gradient, variable.dtype.name), ops.cast(learning_rate, variable.dtype.name)
        index = self._get_variable_index(variable)
        velocity = self._velocities[index]
        squares = self.rho * velocity + (1.0 - self.rho) * ops.square(gradient)
        self.assign(velocity, squares)
        divisor = squares + self.epsilon
        if self.centered:
            average = self._averages_of_gradients[index]
            mean = self.rho * average + (1.0 - self.rho) * gradient
            self.assign(average, mean)
            divisor = squares - ops.square(mean) + self.epsilon
        step = rate * gradient / ops.sqrt(divisor)
        if self.momentum > 0:
            step = self.momentum * self._momentums[index] + step
            self.assign(self._momentums[index], step)
        self.assign_sub(variable, step)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
