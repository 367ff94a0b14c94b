"""The arguments that all optimizers have."""

from __future__ import annotations

from typing import TypedDict


class CommonOptions(TypedDict, total=False):
    """Keyword arguments of every optimizer; `Optimizer` says what they mean and checks them."""

    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None
