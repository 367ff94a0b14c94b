"""Optimizers with a learning rate of its own for every entry, from what its gradients added up to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from engine.initializers import Constant
from engine.optimizers.fused import FusedOptimizer
from engine.optimizers.options import CommonOptions
from engine.primitives.update import adadelta_update, adagrad_update, ftrl_update
from engine.registry import registered


@registered("keras.optimizers", "adagrad")
class Adagrad(FusedOptimizer):
    """Divides gradients by the root of the sum of all their squares (Duchi et al. 2011).

    Args:
        initial_accumulator_value: what the sums begin with.
        epsilon: added to the sums, under the root.
        Others as in `Optimizer`.
    """

    _hyperparameters = ("initial_accumulator_value", "epsilon")
    _update = adagrad_update

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        return [["accumulator"]]

    def _slot_start(self, name: str) -> Any:
        return Constant(self.initial_accumulator_value)

    def _options(self) -> dict[str, Any]:
        return {"epsilon": self.epsilon}


@registered("keras.optimizers", "adadelta")
class Adadelta(FusedOptimizer):
    """Steps by the ratio of moving averages of squared steps and of squared gradients (Zeiler 2012).

    Args:
        rho: how much of themselves the averages keep at a step.
        epsilon: added to the averages, under the root.
        Others as in `Optimizer`.
    """

    _hyperparameters = ("rho", "epsilon")
    _update = adadelta_update

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho = rho
        self.epsilon = epsilon

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        return [["accumulated_grad", "accumulated_delta_var"]]


@registered("keras.optimizers", "ftrl")
class Ftrl(FusedOptimizer):
    """Follow the regularized leader, for large sparse models (McMahan et al. 2013).

    Args:
        learning_rate_power: how the learning rate falls, at most 0; 0 for a fixed one.
        initial_accumulator_value: what the sums of squares begin with, at least 0.
        l1_regularization_strength, l2_regularization_strength: of the penalties that the steps hold, at least 0.
        l2_shrinkage_regularization_strength: of a penalty on magnitude that is added to the gradient, at least 0.
        beta: of the paper.
        Others as in `Optimizer`.

    Raises:
        ValueError: a number outside its range.
    """

    _hyperparameters = (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )
    _update = ftrl_update

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        if learning_rate_power > 0:
            raise ValueError(f"Ftrl: learning_rate_power must be at most 0. Received: {learning_rate_power}")
        for name in self._hyperparameters[1:5]:
            if getattr(self, name) < 0:
                raise ValueError(f"Ftrl: {name} must be at least 0. Received: {getattr(self, name)}")

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        return [["accumulator", "linear"]]

    def _slot_start(self, name: str) -> Any:
        return Constant(self.initial_accumulator_value) if name == "accumulator" else "zeros"

    def _options(self) -> dict[str, Any]:
        return {
            "power": -self.learning_rate_power,
            "l1": self.l1_regularization_strength,
            "l2": self.l2_regularization_strength,
            "shrinkage": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }
