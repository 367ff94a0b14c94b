"""Metrics of yes-or-no decisions: how many were right and wrong at thresholds, and what follows from that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.config import epsilon
from engine.losses.loss import matched_ranks, matched_weights
from engine.metrics.metric import Metric
from engine.primitives.shaping import scatter_add
from engine.registry import registered

COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
_NEVER = -1e10  # below every threshold


def confusion_counts(
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    dtype: str,
    sample_weight: Any = None,
    label_weights: Any = None,
    by_label: bool = False,
    top_k: int | None = None,
    class_id: int | None = None,
) -> dict[str, Any]:
    """The numbers of right and wrong decisions at each threshold, by the names in `COUNTS`.

    Args:
        y_true: 0 or 1 for every prediction.
        y_pred: (batch, …); above a threshold stands for yes.
        thresholds: where they divide 0..1 evenly, many cost no more than few.
        sample_weight: has the first axes of `y_pred`, or broadcasts to it.
        label_weights: one for each entry of the last axis.
        by_label: whether the last axis is kept: counts (thresholds, labels) instead of (thresholds,).
        top_k: only the largest `k` of the last axis may be yes.
        class_id: only this entry of the last axis counts.
    """
    y_true, y_pred = (ops.cast(ops.convert_to_tensor(value), dtype) for value in (y_true, y_pred))
    y_true, y_pred = matched_ranks(y_true, y_pred)
    weights: Any = 1.0 if sample_weight is None else matched_weights(y_pred, sample_weight)
    if top_k is not None:
        _, best = ops.top_k(y_pred, top_k)
        chosen = ops.sum(ops.one_hot(best, y_pred.shape[-1], axis=-1), axis=-2)
        y_pred = ops.where(chosen > 0, y_pred, _NEVER)
    if class_id is not None:
        if y_pred.ndim < 2:
            raise ValueError(f"class_id needs predictions of at least two axes. Received: shape {y_pred.shape}")
        # A slice keeps the axis, so that weights of samples still fit.
        y_true, y_pred = (value[..., class_id : class_id + 1] for value in (y_true, y_pred))
        if sample_weight is not None and weights.shape[-1] > 1:
            weights = weights[..., class_id : class_id + 1]
    if label_weights is not None:
        weights = weights * ops.convert_to_tensor(label_weights, dtype)
    yes = ops.cast(ops.not_equal(y_true, 0), dtype)
    labels = y_pred.shape[-1] if by_label else 1
    right, wrong, scores = (
        ops.reshape(value, (-1, labels)) for value in (yes * weights, (1.0 - yes) * weights, y_pred)
    )
    above = _above_by_bucket if _are_even(thresholds) else _above_by_comparison
    positives = above(right, scores, thresholds), above(wrong, scores, thresholds)
    totals = [ops.sum(value, axis=0, keepdims=True) for value in (right, wrong)]
    counts = (*positives, totals[1] - positives[1], totals[0] - positives[0])
    shape = (len(thresholds), labels) if by_label else (len(thresholds),)
    return {name: ops.reshape(count, shape) for name, count in zip(COUNTS, counts, strict=True)}


def _are_even(thresholds: Sequence[float]) -> bool:
    return len(thresholds) > 2 and np.allclose(thresholds, np.linspace(0.0, 1.0, len(thresholds)), atol=epsilon())


def _above_by_comparison(values: Any, scores: Any, thresholds: Sequence[float]) -> Any:
    """The sum of `values` (n, labels) where scores lie above each threshold: (thresholds, labels)."""
    limits = ops.reshape(ops.cast(np.asarray(thresholds), values.dtype.name), (-1, 1, 1))
    return ops.sum(ops.where(scores > limits, values, 0.0), axis=1)


def _above_by_bucket(values: Any, scores: Any, thresholds: Sequence[float]) -> Any:
    """The same for even thresholds: every score falls into one bucket, and buckets are added up from above."""
    count, labels = len(thresholds), values.shape[-1]
    place = ops.ceil(ops.clip(scores, 0.0, 1.0) * float(count - 1)) - 1.0
    if thresholds[0] >= 0.0:
        values = ops.where(place < 0.0, 0.0, values)  # a score of 0 lies above no threshold
    index = ops.cast(ops.maximum(place, 0.0), "int32") * labels + np.arange(labels, dtype=np.int32)
    buckets = scatter_add(ops.reshape(values, (-1,)), ops.reshape(index, (-1,)), shape=(count * labels,), axis=0)
    return ops.flip(ops.cumsum(ops.flip(ops.reshape(buckets, (count, labels)), axis=0), axis=0), axis=0)


class ConfusionMetric(Metric):
    """Base: adds decisions at thresholds up in variables.

    Args:
        thresholds: a number in 0..1 or several; default: 0.5, or with `top_k` none.
        top_k, class_id: see `confusion_counts`.

    Raises:
        ValueError: a threshold outside 0..1.
    """

    _counted: tuple[str, ...] = ()

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        given = list(thresholds) if isinstance(thresholds, (list, tuple)) else [thresholds]
        if thresholds is None:
            given = [0.5 if top_k is None else _NEVER]
        elif any(item is None or not 0 <= item <= 1 for item in given):
            raise ValueError(f"{type(self).__name__}: thresholds must lie in 0..1. Received: {thresholds!r}")
        self.thresholds = given
        self._variable_of = {name: self._counter(name) for name in self._counted}

    def _counter(self, name: str) -> Any:
        counter = self.add_variable((len(self.thresholds),), name=name)
        setattr(self, name, counter)
        return counter

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        counts = confusion_counts(
            y_true,
            y_pred,
            self.thresholds,
            self.dtype,
            sample_weight=sample_weight,
            top_k=self.top_k,
            class_id=self.class_id,
        )
        for name, variable in self._variable_of.items():
            variable.assign_add(counts[name])

    def _single(self, value: Any) -> Any:
        return value[0] if len(self.thresholds) == 1 else value

    def get_config(self) -> dict[str, Any]:
        chosen = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **chosen}


class _Count(ConfusionMetric):
    """Base: one of the counts. Arguments as in `ConfusionMetric`."""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(thresholds, name=name, dtype=dtype)

    def _counter(self, name: str) -> Any:
        self.accumulator = self.add_variable((len(self.thresholds),), name="accumulator")
        return self.accumulator

    def result(self) -> Any:
        return self._single(self.accumulator.value)

    def get_config(self) -> dict[str, Any]:
        return {**Metric.get_config(self), "thresholds": self.init_thresholds}


@registered("keras.metrics")
class TruePositives(_Count):
    """How many were yes and found to be."""

    _counted = ("true_positives",)


@registered("keras.metrics")
class FalsePositives(_Count):
    """How many were no and taken for yes."""

    _counted = ("false_positives",)


@registered("keras.metrics")
class TrueNegatives(_Count):
    """How many were no and found to be."""

    _counted = ("true_negatives",)


@registered("keras.metrics")
class FalseNegatives(_Count):
    """How many were yes and taken for no."""

    _counted = ("false_negatives",)


@registered("keras.metrics")
class Precision(ConfusionMetric):
    """The share of right ones among those taken for yes. Arguments as in `ConfusionMetric`."""

    _direction = "up"
    _counted = ("true_positives", "false_positives")

    def result(self) -> Any:
        right, wrong = (self._variable_of[name] for name in self._counted)
        return self._single(ops.divide_no_nan(right, right + wrong))


@registered("keras.metrics")
class Recall(ConfusionMetric):
    """The share of those that are yes that was found. Arguments as in `ConfusionMetric`."""

    _direction = "up"
    _counted = ("true_positives", "false_negatives")

    def result(self) -> Any:
        found, missed = (self._variable_of[name] for name in self._counted)
        return self._single(ops.divide_no_nan(found, found + missed))
