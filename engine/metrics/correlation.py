"""How well predictions of numbers go with the truth: correlations, and the share of variance that they explain."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.config import epsilon
from engine.losses.loss import matched_ranks
from engine.losses.regression import floats
from engine.metrics.metric import Metric
from engine.metrics.reduction import NamedMean
from engine.registry import registered

_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


@registered("keras.metrics")
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The mean along `axis` of the products of both, each brought to mean 0 and standard deviation 1."""
    y_true, y_pred = (_centred(value, axis) for value in floats(y_true, y_pred))
    y_true, y_pred = (value / ops.std(value, axis=axis, keepdims=True) for value in (y_true, y_pred))
    return ops.mean(y_true * y_pred, axis=axis)


def _centred(value: Any, axis: int) -> Any:
    return value - ops.mean(value, axis=axis, keepdims=True)


@registered("keras.metrics")
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Twice the covariance along `axis` over both variances and the square of the means' difference (Lin, 1989)."""
    y_true, y_pred = floats(y_true, y_pred)
    true_mean, mean = (ops.mean(value, axis=axis, keepdims=True) for value in (y_true, y_pred))
    spread = ops.var(y_true, axis=axis, keepdims=True) + ops.var(y_pred, axis=axis, keepdims=True)
    products = (y_true - mean) * (y_pred - mean)  # summed over the axis, the same as from the truth's own mean
    return ops.mean(2.0 * products / (spread + ops.square(true_mean - mean) + epsilon()), axis=axis)


@registered("keras.metrics")
class PearsonCorrelation(NamedMean):
    """The mean of `pearson_correlation`."""

    _direction = "up"
    _written = ("axis",)

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(pearson_correlation, name=name, dtype=dtype, axis=axis)


@registered("keras.metrics")
class ConcordanceCorrelation(NamedMean):
    """The mean of `concordance_correlation`."""

    _direction = "up"
    _written = ("axis",)

    def __init__(self, name: str | None = "concordance_correlation", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(concordance_correlation, name=name, dtype=dtype, axis=axis)


@registered("keras.metrics")
class R2Score(Metric):
    """The coefficient of determination: 1 less the squared errors over the truth's squared deviations from its mean.

    Args:
        class_aggregation: of several outputs: None: a score for each; "uniform_average": their mean;
            "variance_weighted_average": by the truth's variance.
        num_regressors: above 0 the score is adjusted for so many independent variables.

    Truth and predictions are (batch, outputs).

    Raises:
        ValueError: an argument outside its range, or inputs of another rank.
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if class_aggregation not in _AGGREGATIONS:
            raise ValueError(
                f"R2Score: class_aggregation must be one of {_AGGREGATIONS}. Received: {class_aggregation!r}"
            )
        if num_regressors < 0:
            raise ValueError(f"R2Score: num_regressors must not be negative. Received: {num_regressors!r}")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable(name="num_samples")

    def _build(self, outputs: int) -> None:
        self.squared_sum = self.add_variable((outputs,), name="squared_sum")
        self.sum = self.add_variable((outputs,), name="sum")
        self.total_mse = self.add_variable((outputs,), name="residual")
        self.count = self.add_variable((outputs,), name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = (ops.cast(ops.convert_to_tensor(value), self.dtype) for value in (y_true, y_pred))
        y_true, y_pred = matched_ranks(y_true, y_pred)
        if y_true.ndim != 2 or y_pred.ndim != 2:
            raise ValueError(
                f"R2Score needs truth and predictions (batch, outputs). "
                f"Received: shapes {tuple(y_true.shape)} and {tuple(y_pred.shape)}"
            )
        if len(self.variables) == 1:
            self._build(y_pred.shape[-1])
        weights = ops.cast(ops.convert_to_tensor(1.0 if sample_weight is None else sample_weight), self.dtype)
        weights = ops.expand_dims(weights, 1) if weights.ndim == 1 else weights
        weights = ops.broadcast_to(weights, y_true.shape)
        self.sum.assign_add(ops.sum(y_true * weights, axis=0))
        self.squared_sum.assign_add(ops.sum(ops.square(y_true) * weights, axis=0))
        self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weights, axis=0))
        self.count.assign_add(ops.sum(weights, axis=0))
        self.num_samples.assign_add(float(y_true.size))

    def result(self) -> Any:
        if len(self.variables) == 1:
            return ops.zeros((), self.dtype)
        total = self.squared_sum - ops.square(self.sum) / self.count
        scores = 1.0 - self.total_mse / total
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.sum(total * scores) / ops.sum(total)
        if self.num_regressors:
            # Where there are too few samples to adjust it the score stays as it is.
            free = self.num_samples - (self.num_regressors + 1.0)
            adjusted = 1.0 - (1.0 - scores) * (self.num_samples - 1.0) / ops.where(free > 0, free, 1.0)
            scores = ops.where(free > 0, adjusted, scores)
        return scores

    def get_config(self) -> dict[str, Any]:
        chosen = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return {**super().get_config(), **chosen}
