"""Losses between regions, as segmentation uses them: how little truth and prediction overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.config import epsilon
from engine.losses.loss import NamedLoss
from engine.losses.regression import floats
from engine.registry import registered

Axis = int | Sequence[int] | None


@registered("keras.losses")
def dice(y_true: Any, y_pred: Any, axis: Axis = None) -> Any:
    """1 less twice the overlap over the sum of both sizes, summed over axes (default: all)."""
    y_true, y_pred = floats(y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis=axis)
    return 1.0 - 2.0 * both / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + epsilon())


@registered("keras.losses")
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axis = None) -> Any:
    """1 less the overlap over itself and what is in one only (Salehi et al., 2017), summed over axes (default: all).

    Args:
        alpha: how much counts what is in the truth only (so Keras; the paper's beta).
        beta: how much counts what is in the prediction only.
    """
    y_true, y_pred = floats(y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    invented = ops.sum(y_pred * (1.0 - y_true), axis=axis)
    return 1.0 - both / (both + missed * alpha + invented * beta + epsilon())


@registered("keras.losses")
class Dice(NamedLoss):
    """See `dice`."""

    _written = ("axis",)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice",
        axis: Axis = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dice, reduction=reduction, name=name, dtype=dtype, axis=axis)


@registered("keras.losses")
class Tversky(NamedLoss):
    """See `tversky`."""

    _written = ("alpha", "beta", "axis")

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: Axis = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(tversky, reduction=reduction, name=name, dtype=dtype, alpha=alpha, beta=beta, axis=axis)
