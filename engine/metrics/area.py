"""AUC: the area under a curve of decisions at all thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.config import epsilon
from engine.metrics.confusion import COUNTS, confusion_counts
from engine.metrics.metric import Metric
from engine.registry import registered

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMMATIONS = ("interpolation", "minoring", "majoring")


@registered("keras.metrics")
class AUC(Metric):
    """The area under a curve, as a sum over thresholds.

    Args:
        num_thresholds: how many there are, evenly in 0..1; at least 2.
        curve: "ROC": found (recall) over false alarms; "PR": precision over recall; "PRGAIN": both as gains (Flach and
            Kull 2015).
        summation_method: between two thresholds the curve counts as its mean ("interpolation"; for "PR" as Davis and
            Goadrich 2006 interpolate), its smaller ("minoring") or its larger end ("majoring").
        thresholds: in place of `num_thresholds`; 0 and 1 are added.
        multi_label: whether every entry of the last axis has an area of its own, of which the mean is taken.
        num_labels: their number with `multi_label`; default: taken from the first predictions.
        label_weights: of the labels; in the mean with `multi_label`, else in the counts.
        from_logits: whether predictions are logits.

    Raises:
        ValueError: an unknown curve or summation, too few thresholds, `num_labels` without `multi_label`.
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        for label, value, known in (
            ("curve", curve, _CURVES),
            ("summation_method", summation_method, _SUMMATIONS),
        ):
            if not isinstance(value, str) or value.lower() not in [item.lower() for item in known]:
                raise ValueError(f"AUC: {label} must be one of {', '.join(known)}. Received: {value!r}")
        if thresholds is None and num_thresholds < 2:
            raise ValueError(f"AUC: num_thresholds must be at least 2. Received: {num_thresholds}")
        if num_labels and not multi_label:
            raise ValueError("AUC: num_labels needs multi_label=True.")
        self._given_thresholds = None if thresholds is None else sorted(thresholds)
        inner = self._given_thresholds
        if inner is None:
            inner = [(index + 1) / (num_thresholds - 1) for index in range(num_thresholds - 2)]
        # The ends lie a little outside, so that all predictions lie between them.
        self._thresholds = [-epsilon(), *inner, 1.0 + epsilon()]
        self.num_thresholds = len(self._thresholds)
        self.curve = curve.upper()
        self.summation_method = summation_method.lower()
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = label_weights
        self.from_logits = from_logits
        if not multi_label or num_labels:
            self._build(num_labels)

    @property
    def thresholds(self) -> list[float]:
        return list(self._thresholds)

    def _build(self, labels: int | None) -> None:
        shape = (self.num_thresholds,) if labels is None else (self.num_thresholds, labels)
        for name in COUNTS:
            setattr(self, name, self.add_variable(shape, name=name))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = ops.convert_to_tensor(y_pred)
        if self.multi_label and y_pred.ndim != 2:
            raise ValueError(f"AUC with multi_label needs predictions (batch, labels). Received: shape {y_pred.shape}")
        if not self.variables:
            self._build(y_pred.shape[-1])
        counts = confusion_counts(
            y_true,
            ops.sigmoid(y_pred) if self.from_logits else y_pred,
            self._thresholds,
            self.dtype,
            sample_weight=sample_weight,
            label_weights=None if self.multi_label else self.label_weights,
            by_label=self.multi_label,
        )
        for variable in self.variables:
            variable.assign_add(counts[variable.name])

    def result(self) -> Any:
        if not self.variables:
            return ops.zeros((), self.dtype)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = self._interpolated()
        else:
            x, y = self._points()
            if self.summation_method == "interpolation":
                heights = (y[:-1] + y[1:]) / 2.0
            else:
                heights = (ops.minimum if self.summation_method == "minoring" else ops.maximum)(y[:-1], y[1:])
            areas = (x[:-1] - x[1:]) * heights
        total = ops.sum(areas, axis=0)
        if not self.multi_label:
            return total
        if self.label_weights is None:
            return ops.mean(total)
        weights = ops.convert_to_tensor(self.label_weights, self.dtype)
        return ops.divide_no_nan(ops.sum(total * weights), ops.sum(weights))

    def _points(self) -> tuple[Any, Any]:
        """The curve at the thresholds, from its right end on."""
        right, alarms, quiet, missed = self.variables
        recall = ops.divide_no_nan(right, right + missed)
        if self.curve == "ROC":
            return ops.divide_no_nan(alarms, alarms + quiet), recall
        if self.curve == "PR":
            return recall, ops.divide_no_nan(right, right + alarms)
        odds = ops.divide_no_nan(right + missed, quiet + alarms)
        none = ops.equal(right, 0.0)
        recall_gain = ops.where(none, 0.0, 1.0 - odds * ops.divide_no_nan(missed, right))
        precision_gain = ops.where(none, 1.0, 1.0 - odds * ops.divide_no_nan(alarms, right))
        return ops.maximum(recall_gain, 0.0), precision_gain

    def _interpolated(self) -> Any:
        """Areas under precision over recall, whose numbers of decisions, not their ratios, go in straight lines."""
        right, alarms, _, missed = self.variables
        decided = right + alarms
        gained = right[:-1] - right[1:]
        slope = ops.divide_no_nan(gained, ops.maximum(decided[:-1] - decided[1:], 0.0))
        start = right[1:] - slope * decided[1:]
        both = ops.logical_and(decided[:-1] > 0, decided[1:] > 0)
        ratio = ops.where(both, ops.divide_no_nan(decided[:-1], ops.maximum(decided[1:], 0.0)), 1.0)
        return ops.divide_no_nan(slope * (gained + start * ops.log(ratio)), ops.maximum(right[1:] + missed[1:], 0.0))

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }
        if self._given_thresholds is not None:
            config["thresholds"] = self._given_thresholds
        return config
