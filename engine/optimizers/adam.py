"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.optimizers.optimizer import Optimizer
from engine.primitives.update import adam_update
from engine.registry import registered
from engine.variable import Variable


@registered("keras.optimizers", "adam")
class Adam(Optimizer):
    """Steps by the ratio of moving averages of gradients and of their squares (Kingma and Ba 2015).

    Args:
        beta_1, beta_2: how much of themselves the averages of gradients and of squares keep at a step.
        epsilon: added to the root of the second average.
        amsgrad: divide by the largest second average so far (Reddi et al. 2018).
        Others as in `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat") if self.amsgrad else []

    def _step_size(self, rate: Any) -> Any:
        """The learning rate with the corrections for averages that began at zero."""
        step = ops.cast(self.iterations + 1, "float32")
        second = ops.sqrt(1.0 - ops.power(self.beta_2, step))
        return ops.cast(rate, "float32") * second / (1.0 - ops.power(self.beta_1, step))

    def _update_variables(self, gradients: Sequence[Any], variables: Sequence[Variable], rate: Any) -> None:
        size = self._step_size(rate)  # once a step, not once a variable
        for gradient, variable in zip(gradients, variables, strict=True):
            self._update(gradient, variable, size)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        self._update(gradient, variable, self._step_size(learning_rate))

    def _update(self, gradient: Any, variable: Variable, size: Any) -> None:
        gradient, size = ops.cast(gradient, variable.dtype.name), ops.cast(size, variable.dtype.name)
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        if self.amsgrad:
            first = momentum + (gradient - momentum) * (1.0 - self.beta_1)
            second = velocity + (ops.square(gradient) - velocity) * (1.0 - self.beta_2)
            largest = ops.maximum(self._velocity_hats[index], second)
            self.assign(self._velocity_hats[index], largest)
            updated = variable - first * size / (ops.sqrt(largest) + self.epsilon)
        else:
            updated, first, second = adam_update(
                variable,
                momentum,
                velocity,
                gradient,
                size,
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
            )
        self.assign(variable, updated)
        self.assign(momentum, first)
        self.assign(velocity, second)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


@registered("keras.optimizers", "adamw")
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019). Arguments as in `Adam`.

    Raises:
        ValueError: `weight_decay` is None.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("AdamW needs a weight_decay; Adam is the same without one.")
        super().__init__(
            learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            amsgrad=amsgrad,
            weight_decay=weight_decay,
            **kwargs,
        )
