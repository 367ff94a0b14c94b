"""Lion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from engine.optimizers.fused import FusedOptimizer
from engine.optimizers.options import CommonOptions
from engine.primitives.update import lion_update
from engine.registry import registered


@registered("keras.optimizers", "lion")
class Lion(FusedOptimizer):
    """Steps by the sign of the gradient with momentum (Chen et al. 2023).

    Args:
        beta_1: the momentum's weight in a step, above 0 and at most 1.
        beta_2: how much of itself the momentum keeps at a step.
        Others as in `Optimizer`.

    Raises:
        ValueError: `beta_1` outside its range.
    """

    _hyperparameters = ("beta_1", "beta_2")
    _update = lion_update

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **common: Unpack[CommonOptions],
    ) -> None:
        if not 0 < beta_1 <= 1:
            raise ValueError(f"Lion: beta_1 must lie above 0 and at most at 1. Received: {beta_1}")
        super().__init__(learning_rate, **common)
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        return [["momentum"]]
