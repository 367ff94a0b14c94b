"""Gradient descent, with momentum and Nesterov's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from engine.optimizers.fused import FusedOptimizer
from engine.optimizers.options import CommonOptions
from engine.primitives.primitive import Primitive
from engine.primitives.update import momentum_update, sgd_update
from engine.registry import registered


@registered("keras.optimizers", "sgd")
class SGD(FusedOptimizer):
    """`w - learning_rate * g`, or a velocity that keeps `momentum` of itself.

    Args:
        momentum: in 0..1.
        nesterov: whether the gradient's step is taken from where momentum leads.
        Others as in `Optimizer`.

    Raises:
        ValueError: momentum lies outside 0..1.
    """

    _hyperparameters = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Unpack[CommonOptions],
    ) -> None:
        if not isinstance(momentum, (int, float)) or not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum must be a number in 0..1. Received: {momentum!r}")
        super().__init__(learning_rate, **common)
        self.momentum = momentum
        self.nesterov = nesterov

    @property
    def _update(self) -> Primitive:  # type: ignore[override]
        return momentum_update if self.momentum else sgd_update

    def _slot_groups(self) -> Sequence[Sequence[str]]:
        return [["momentum"]] if self.momentum else []

    def _options(self) -> dict[str, Any]:
        return super()._options() if self.momentum else {}
