"""F scores: precision and recall in one number."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.config import epsilon
from engine.metrics.metric import Metric
from engine.registry import registered

_AVERAGES = (None, "micro", "macro", "weighted")


@registered("keras.metrics")
class FBetaScore(Metric):
    """The weighted harmonic mean of precision and recall.

    Args:
        average: None: one score a class; "macro": their mean; "weighted": their mean by how often the class occurs;
            "micro": one score over the decisions of all classes.
        beta: how much more recall counts than precision; a float above 0.
        threshold: above it a prediction stands for yes; default: the largest of each row does.

    Truth and predictions have shape (batch, classes).

    Raises:
        ValueError: an argument outside its range.
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if average not in _AVERAGES:
            raise ValueError(f"{type(self).__name__}: average must be one of {_AVERAGES}. Received: {average!r}")
        if not isinstance(beta, float) or beta <= 0:
            raise ValueError(f"{type(self).__name__}: beta must be a float above 0. Received: {beta!r}")
        if threshold is not None and not (isinstance(threshold, float) and 0 < threshold <= 1):
            raise ValueError(
                f"{type(self).__name__}: threshold must be a float above 0 and at most 1. Received: {threshold!r}"
            )
        self.average = average
        self.beta = beta
        self.threshold = threshold

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        self.true_positives = self.add_variable(shape, name="true_positives")
        self.false_positives = self.add_variable(shape, name="false_positives")
        self.false_negatives = self.add_variable(shape, name="false_negatives")
        self.intermediate_weights = self.add_variable(shape, name="intermediate_weights")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = (ops.cast(ops.convert_to_tensor(value), self.dtype) for value in (y_true, y_pred))
        if y_true.ndim != 2 or y_pred.ndim != 2:
            raise ValueError(
                f"{type(self).__name__} needs truth and predictions (batch, classes). "
                f"Received: shapes {y_true.shape} and {y_pred.shape}"
            )
        if not self.variables:
            self._build(y_pred.shape[-1])
        if self.threshold is None:
            largest = ops.max(y_pred, axis=-1, keepdims=True)
            decided = ops.logical_and(y_pred >= largest, ops.abs(y_pred) > 1e-9)
        else:
            decided = y_pred > self.threshold
        yes = ops.cast(decided, self.dtype)
        weights = 1.0
        if sample_weight is not None:
            weights = ops.expand_dims(ops.cast(ops.convert_to_tensor(sample_weight), self.dtype), 1)
        axis = None if self.average == "micro" else 0
        counted = (yes * y_true, yes * (1.0 - y_true), (1.0 - yes) * y_true, y_true)
        for variable, values in zip(self.variables, counted, strict=True):
            variable.assign_add(ops.sum(values * weights, axis=axis))

    def result(self) -> Any:
        if not self.variables:
            return ops.zeros((), self.dtype)
        precision = self.true_positives / (self.true_positives + self.false_positives + epsilon())
        recall = self.true_positives / (self.true_positives + self.false_negatives + epsilon())
        square = self.beta**2
        score = precision * recall / (square * precision + recall + epsilon()) * (1.0 + square)
        if self.average == "weighted":
            return ops.sum(score * (self.intermediate_weights / (ops.sum(self.intermediate_weights) + epsilon())))
        return score if self.average is None else ops.mean(score)

    def get_config(self) -> dict[str, Any]:
        chosen = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **chosen}


@registered("keras.metrics")
class F1Score(FBetaScore):
    """The harmonic mean of precision and recall. Arguments as in `FBetaScore`."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average=average, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config
