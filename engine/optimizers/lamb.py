"""LAMB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from engine import ops
from engine.optimizers.optimizer import Optimizer
from engine.optimizers.options import CommonOptions
from engine.registry import registered
from engine.variable import Variable


@registered("keras.optimizers", "lamb")
class Lamb(Optimizer):
    """Adam's steps, each as long in proportion to its variable as the learning rate says (You et al. 2020).

    Args:
        beta_1, beta_2: how much of themselves the averages of gradients and of squares keep at a step.
        epsilon: added to the root of the second average.
        Others as in `Optimizer`.
    """

    _hyperparameters = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: Sequence[Variable]) -> None:
        if not self.built:
            super().build(variables)
            self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        index, dtype = self._get_variable_index(variable), variable.dtype.name
        step = ops.cast(self.iterations + 1, dtype)
        gradient = ops.cast(gradient, dtype)
        momentum, velocity = self._momentums[index], self._velocities[index]
        first = momentum + (gradient - momentum) * (1.0 - self.beta_1)
        second = velocity + (ops.square(gradient) - velocity) * (1.0 - self.beta_2)
        self.assign(momentum, first)
        self.assign(velocity, second)
        size = ops.sqrt(second / (1.0 - ops.power(self.beta_2, step))) + self.epsilon
        update = first / (1.0 - ops.power(self.beta_1, step)) / size
        length, wanted = ops.norm(update), ops.norm(variable)
        both = ops.logical_and(length > 0.0, wanted > 0.0)
        ratio = ops.where(both, wanted / ops.where(both, length, 1.0), 1.0)
        self.assign_sub(variable, ratio * ops.cast(learning_rate, dtype) * update)
