"""Adam and its relatives: AdamW, Nadam, Adamax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from engine import ops
from engine.optimizers.fused import FusedOptimizer
from engine.optimizers.options import CommonOptions
from engine.primitives.primitive import Primitive
from engine.primitives.update import adam_update, adamax_update, amsgrad_update, nadam_update
from engine.registry import registered
from engine.variable import Variable


class _Moments(FusedOptimizer):
    """Base: moving averages of gradients and of their size.

    Args:
        beta_1, beta_2: how much of themselves the averages of gradients and of their size keep at a step.
        epsilon: added to the size.
        Others as in `Optimizer`.
    """

    _hyperparameters: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon")

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

    def _options(self) -> dict[str, Any]:
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        return [["momentum", "velocity"]]


@registered("keras.optimizers", "adam")
class Adam(_Moments):
    """Steps by the ratio of moving averages of gradients and of their squares (Kingma and Ba 2015).

    Args:
        beta_1, beta_2: how much of themselves the averages of gradients and of squares keep at a step.
        epsilon: added to the root of the second average.
        amsgrad: divide by the largest second average so far (Reddi et al. 2018).
        Others as in `Optimizer`.
    """

    _hyperparameters = (*_Moments._hyperparameters, "amsgrad")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **common)
        self.amsgrad = amsgrad

    @property
    def _update(self) -> Primitive:  # type: ignore[override]
        return amsgrad_update if self.amsgrad else adam_update

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        return [["momentum", "velocity"], *[["velocity_hat"]] * self.amsgrad]

    def _scalars(self, rate: Any) -> tuple[Any, ...]:
        """The learning rate with the corrections for averages that began at zero."""
        number = self._step_number()
        second = ops.sqrt(1.0 - ops.power(self.beta_2, number))
        return (rate * second / (1.0 - ops.power(self.beta_1, number)),)


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
        **common: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("AdamW needs a weight_decay; Adam is the same without one.")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **common)


@registered("keras.optimizers", "nadam")
class Nadam(_Moments):
    """Adam with Nesterov's momentum, whose weight warms up (Dozat 2016).

    Args:
        beta_1, beta_2: how much of themselves the averages of gradients and of squares keep at a step.
        epsilon: added to the root of the second average.
        Others as in `Optimizer`.
    """

    _update = nadam_update

    def build(self, variables: Sequence[Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        kind = variables[0].dtype if variables else np.dtype(np.float32)
        self._momentum_product = self._own(Variable(np.ones((), kind), trainable=False))

    def _update_variables(self, gradients: Sequence[Any], variables: Sequence[Variable], rate: Any) -> None:
        super()._update_variables(gradients, variables, rate)
        self.assign(self._momentum_product, self._momentum_product * self._weight(self._step_number()))

    def _weight(self, number: Any) -> Any:
        """The momentum's weight at a step."""
        return self.beta_1 * (1.0 - 0.5 * ops.power(0.96, number))

    def _scalars(self, rate: Any) -> tuple[Any, ...]:
        number = self._step_number()
        present, following = self._weight(number), self._weight(number + 1.0)
        product = ops.cast(self._momentum_product, "float32") * present
        first = rate * following / (1.0 - product * following)
        direct = rate * (1.0 - present) / (1.0 - product)
        return first, direct, 1.0 / (1.0 - ops.power(self.beta_2, number))


@registered("keras.optimizers", "adamax")
class Adamax(_Moments):
    """Adam with the largest decayed gradient as denominator (Kingma and Ba 2015, section 7).

    Args:
        beta_1, beta_2: how much of themselves the average of gradients and the largest gradient keep at a step.
        epsilon: added to the largest gradient.
        Others as in `Optimizer`.
    """

    _update = adamax_update

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        return [["momentum", "norm"]]

    def _scalars(self, rate: Any) -> tuple[Any, ...]:
        return (rate / (1.0 - ops.power(self.beta_1, self._step_number())),)
