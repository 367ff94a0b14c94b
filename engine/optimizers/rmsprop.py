"""RMSprop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from engine.optimizers.fused import FusedOptimizer
from engine.optimizers.options import CommonOptions
from engine.primitives.primitive import Primitive
from engine.primitives.update import rmsprop_update
from engine.registry import registered


@registered("keras.optimizers", "rmsprop")
class RMSprop(FusedOptimizer):
    """Divides gradients by the root of a moving average of their squares (Tieleman and Hinton 2012).

    Args:
        rho: how much of itself the average keeps at a step.
        momentum: of the steps, 0 for none.
        epsilon: added to the average, under the root.
        centered: whether the squared average gradient is taken off first, so that the variance divides.
        Others as in `Optimizer`.
    """

    _hyperparameters = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    @property
    def _update(self) -> Primitive:  # type: ignore[override]
        return rmsprop_update(self.momentum > 0, self.centered)

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        return [["velocity"], *[["momentum"]] * (self.momentum > 0), *[["average_gradient"]] * self.centered]

    def _options(self) -> dict[str, Any]:
        return {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon}
