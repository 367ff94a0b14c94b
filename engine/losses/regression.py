"""Losses between numbers: squared, absolute, relative and logarithmic errors, angles, counts."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.config import epsilon
from engine.losses.loss import NamedLoss, matched_ranks
from engine.registry import registered


def floats(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Truth and prediction as tensors of the prediction's float dtype and of one rank."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype.name)
    return matched_ranks(y_true, y_pred)


@registered("keras.losses", "mse", "MSE")
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `(y_true - y_pred)²`."""
    y_true, y_pred = floats(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


@registered("keras.losses", "mae", "MAE")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `|y_true - y_pred|`."""
    y_true, y_pred = floats(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@registered("keras.losses", "mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of the error in per cent of the truth, which counts as at least epsilon."""
    y_true, y_pred = floats(y_true, y_pred)
    share = ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), epsilon()))
    return 100.0 * ops.mean(share, axis=-1)


@registered("keras.losses", "msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `(log(y_true + 1) - log(y_pred + 1))²`, values counting as at least epsilon."""
    y_true, y_pred = floats(y_true, y_pred)
    first = ops.log(ops.maximum(y_pred, epsilon()) + 1.0)
    second = ops.log(ops.maximum(y_true, epsilon()) + 1.0)
    return ops.mean(ops.square(first - second), axis=-1)


@registered("keras.losses")
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """The mean over the last axis of a parabola up to an error of `delta` and a line beyond."""
    y_true, y_pred = floats(y_true, y_pred)
    size = ops.abs(y_pred - y_true)
    near = 0.5 * ops.square(size)
    far = delta * size - 0.5 * delta * delta
    return ops.mean(ops.where(size <= delta, near, far), axis=-1)


@registered("keras.losses")
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `log(cosh(y_pred - y_true))`, in a form that cannot overflow."""
    y_true, y_pred = floats(y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(-2.0 * error) - 0.6931471805599453, axis=-1)


@registered("keras.losses", "kld", "KLD")
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """The sum over the last axis of `y_true * log(y_true / y_pred)`, probabilities clipped to epsilon..1."""
    y_true, y_pred = floats(y_true, y_pred)
    y_true, y_pred = ops.clip(y_true, epsilon(), 1.0), ops.clip(y_pred, epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


@registered("keras.losses")
def poisson(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `y_pred - y_true * log(y_pred)`."""
    y_true, y_pred = floats(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + epsilon()), axis=-1)


@registered("keras.losses")
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between the vectors along `axis`: -1 for equal directions."""
    y_true, y_pred = floats(y_true, y_pred)
    return -ops.sum(ops.normalize(y_true, axis=axis) * ops.normalize(y_pred, axis=axis), axis=axis)


@registered("keras.losses")
class MeanSquaredError(NamedLoss):
    """See `mean_squared_error`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_squared_error, reduction=reduction, name=name, dtype=dtype)


@registered("keras.losses")
class MeanAbsoluteError(NamedLoss):
    """See `mean_absolute_error`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error", dtype: Any = None
    ) -> None:
        super().__init__(mean_absolute_error, reduction=reduction, name=name, dtype=dtype)


@registered("keras.losses")
class MeanAbsolutePercentageError(NamedLoss):
    """See `mean_absolute_percentage_error`."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction=reduction, name=name, dtype=dtype)


@registered("keras.losses")
class MeanSquaredLogarithmicError(NamedLoss):
    """See `mean_squared_logarithmic_error`."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction=reduction, name=name, dtype=dtype)


@registered("keras.losses")
class Huber(NamedLoss):
    """See `huber`."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction=reduction, name=name, dtype=dtype, delta=delta)


@registered("keras.losses")
class LogCosh(NamedLoss):
    """See `log_cosh`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "log_cosh", dtype: Any = None
    ) -> None:
        super().__init__(log_cosh, reduction=reduction, name=name, dtype=dtype)


@registered("keras.losses")
class KLDivergence(NamedLoss):
    """See `kl_divergence`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "kl_divergence", dtype: Any = None
    ) -> None:
        super().__init__(kl_divergence, reduction=reduction, name=name, dtype=dtype)


@registered("keras.losses")
class Poisson(NamedLoss):
    """See `poisson`."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "poisson", dtype: Any = None) -> None:
        super().__init__(poisson, reduction=reduction, name=name, dtype=dtype)


@registered("keras.losses")
class CosineSimilarity(NamedLoss):
    """See `cosine_similarity`."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction=reduction, name=name, dtype=dtype, axis=axis)
