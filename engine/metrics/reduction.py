"""Metrics that add up or average: sums, means, and the mean of a function of truth and prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine import ops
from engine.losses.loss import masked_weights, matched_ranks
from engine.metrics.metric import Metric
from engine.registry import registered, serialize
from engine.scopes import current_graph, current_tapes
from engine.tensor import Tensor, mask_of


def per_sample(values: Any, sample_weight: Any, dtype: str) -> tuple[Any, Any]:
    """Values and weights of one number a sample.

    Axes beyond the weights' are averaged, the weights are multiplied in, then all axes but the first are averaged.
    """
    values = ops.cast(ops.convert_to_tensor(values), dtype)
    if sample_weight is None:
        return _mean_from(values, 1), None
    weights = ops.cast(ops.convert_to_tensor(sample_weight), dtype)
    values, weights = matched_ranks(values, weights)
    values = _mean_from(values, weights.ndim)
    values = values * weights
    weights = _mean_from(ops.broadcast_to(weights, values.shape), 1)
    return _mean_from(values, 1), weights


def _mean_from(values: Any, first: int) -> Any:
    return ops.mean(values, axis=tuple(range(first, values.ndim))) if values.ndim > first else values


@registered("keras.metrics")
class Sum(Metric):
    """The (weighted) sum of all values."""

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable(name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = ops.cast(ops.convert_to_tensor(values), self.dtype)
        if sample_weight is not None:
            weights = ops.cast(ops.convert_to_tensor(sample_weight), self.dtype)
            values, weights = matched_ranks(values, weights)
            values = _mean_from(values, weights.ndim) * weights
        self.total.assign_add(ops.sum(values))

    def result(self) -> Any:
        return self.total.value


@registered("keras.metrics")
class Mean(Metric):
    """The (weighted) mean of all values; values with several axes count by their mean per first axis."""

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, weights = per_sample(values, sample_weight, self.dtype)
        if weights is None:
            count: Any = values.shape[0] if values.ndim else 1
        else:
            count = ops.sum(weights)
        self.total.assign_add(ops.sum(values) if values.ndim else values)
        self.count.assign_add(count)

    def result(self) -> Any:
        if current_graph() is not None or current_tapes():
            return ops.divide_no_nan(self.total, self.count)
        # Read after each batch by whoever wants to know: one division, not the ops that say the same in a plan.
        total, count = self.total.array, self.count.array
        return Tensor(np.asarray(np.divide(total, count)) if count else np.zeros_like(total))


@registered("keras.metrics")
class MeanMetricWrapper(Mean):
    """The mean of a function `(y_true, y_pred, **kwargs)` that gives one value an item."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        from engine.naming import auto_name

        super().__init__(name=name or auto_name(type(self).__name__), dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(  # type: ignore[override]  # Keras's signature
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        weights = masked_weights(sample_weight, mask_of(y_pred), "sum", self.dtype)
        super().update_state(values, sample_weight=weights)

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), "fn": serialize(self._fn), **self._fn_kwargs}


class NamedMean(MeanMetricWrapper):
    """A mean whose class fixes the function: its config holds the base's entries and the options in `_written`."""

    _written: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), **{name: self._fn_kwargs[name] for name in self._written}}
