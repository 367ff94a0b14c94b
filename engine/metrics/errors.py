"""Losses as metrics: the mean over all samples of an error, a cross-entropy, a similarity."""

from __future__ import annotations

from typing import Any

from engine import losses, ops
from engine.losses.regression import floats
from engine.metrics.reduction import Mean, NamedMean
from engine.registry import registered


class _Distance(NamedMean):
    """Base: what is better the smaller it is."""

    _direction = "down"


@registered("keras.metrics", "mse", "MSE")
class MeanSquaredError(_Distance):
    """The mean of `(y_true - y_pred)²`."""

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name=name, dtype=dtype)


@registered("keras.metrics", "mae", "MAE")
class MeanAbsoluteError(_Distance):
    """The mean of `|y_true - y_pred|`."""

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_error, name=name, dtype=dtype)


@registered("keras.metrics", "mape", "MAPE")
class MeanAbsolutePercentageError(_Distance):
    """The mean of the error in per cent of the truth."""

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name=name, dtype=dtype)


@registered("keras.metrics", "msle", "MSLE")
class MeanSquaredLogarithmicError(_Distance):
    """The mean of the squared difference of logarithms."""

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name=name, dtype=dtype)


@registered("keras.metrics")
class RootMeanSquaredError(Mean):
    """The root of the mean of `(y_true - y_pred)²`."""

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(  # type: ignore[override]  # Keras's signature
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        y_true, y_pred = floats(y_true, y_pred)
        super().update_state(ops.square(y_true - y_pred), sample_weight=sample_weight)

    def result(self) -> Any:
        return ops.sqrt(super().result())


@registered("keras.metrics", "bce", "BCE")
class BinaryCrossentropy(_Distance):
    """The mean cross-entropy of yes or no."""

    _written = ("from_logits", "label_smoothing")

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            losses.binary_crossentropy,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


@registered("keras.metrics")
class CategoricalCrossentropy(_Distance):
    """The mean cross-entropy of one-hot classes."""

    _written = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.categorical_crossentropy,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@registered("keras.metrics")
class SparseCategoricalCrossentropy(_Distance):
    """The mean cross-entropy of class numbers."""

    _written = ("from_logits", "ignore_class", "axis")

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.sparse_categorical_crossentropy,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


@registered("keras.metrics")
class KLDivergence(_Distance):
    """The mean Kullback-Leibler divergence."""

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(losses.kl_divergence, name=name, dtype=dtype)


@registered("keras.metrics")
class Poisson(_Distance):
    """The mean of `y_pred - y_true * log(y_pred)`."""

    def __init__(self, name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(losses.poisson, name=name, dtype=dtype)


@registered("keras.metrics")
class LogCoshError(_Distance):
    """The mean of `log(cosh(y_pred - y_true))`."""

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.log_cosh, name=name, dtype=dtype)


@registered("keras.metrics")
class Hinge(_Distance):
    """The mean of `max(0, 1 - y_true * y_pred)`."""

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.hinge, name=name, dtype=dtype)


@registered("keras.metrics")
class SquaredHinge(_Distance):
    """The mean of `max(0, 1 - y_true * y_pred)²`."""

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(losses.squared_hinge, name=name, dtype=dtype)


@registered("keras.metrics")
class CategoricalHinge(_Distance):
    """The mean of `max(0, 1 + (best wrong class) - (true class))`."""

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(losses.categorical_hinge, name=name, dtype=dtype)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine of the angle between the vectors along `axis`: 1 for equal directions (the loss is its negative)."""
    return -losses.cosine_similarity(y_true, y_pred, axis=axis)


@registered("keras.metrics")
class CosineSimilarity(_Distance):
    """The mean cosine of the angle between truth and prediction along `axis`."""

    _direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(cosine_similarity, name=name, dtype=dtype, axis=axis)
