"""The best of one rate of decisions that is to be had while another is at least a given one."""

from __future__ import annotations

from typing import Any, ClassVar

from engine import ops
from engine.metrics.confusion import COUNTS, confusion_counts
from engine.metrics.metric import Metric
from engine.registry import registered

# By rate: which counts of decisions it is the share of, and the counts beside them.
_RATES = {
    "precision": ("true_positives", "false_positives"),
    "recall": ("true_positives", "false_negatives"),
    "sensitivity": ("true_positives", "false_negatives"),
    "specificity": ("true_negatives", "false_positives"),
}


class _Tradeoff(Metric):
    """The largest of one rate over the thresholds at which another reaches a value; 0 where none does.

    Args:
        value: what the other rate must reach, from 0 to 1.
        num_thresholds: how many thresholds are tried, evenly in 0..1; 1: only 0.5.
        class_id: only this entry of the last axis counts.

    Raises:
        ValueError: an argument outside its range.
    """

    _direction = "up"
    _wanted: ClassVar[str]
    _given: ClassVar[str]

    def __init__(
        self, value: float, num_thresholds: int = 200, class_id: int | None = None, name: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if not 0 <= value <= 1:
            raise ValueError(f"{type(self).__name__}: `{self._given}` must lie in 0..1. Received: {value!r}")
        if num_thresholds <= 0:
            raise ValueError(
                f"{type(self).__name__}: `num_thresholds` must be a positive integer. Received: {num_thresholds!r}"
            )
        self.value = value
        setattr(self, self._given, value)
        self.class_id = class_id
        self.num_thresholds = num_thresholds
        inner = [(index + 1) / (num_thresholds - 1) for index in range(num_thresholds - 2)]
        self.thresholds = [0.5] if num_thresholds == 1 else [0.0, *inner, 1.0]
        for count in COUNTS:
            setattr(self, count, self.add_variable((len(self.thresholds),), name=count))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        counts = confusion_counts(
            y_true, y_pred, self.thresholds, self.dtype, sample_weight=sample_weight, class_id=self.class_id
        )
        for variable in self.variables:
            variable.assign_add(counts[variable.name])

    def _rate(self, name: str) -> Any:
        share, rest = (getattr(self, count) for count in _RATES[name])
        return ops.divide_no_nan(share, share + rest)

    def result(self) -> Any:
        reached = self._rate(self._given) >= self.value
        return ops.max(ops.where(reached, self._rate(self._wanted), 0.0), initial=0.0)

    def get_config(self) -> dict[str, Any]:
        chosen = {"class_id": self.class_id, "num_thresholds": self.num_thresholds, self._given: self.value}
        return {**super().get_config(), **chosen}


@registered("keras.metrics")
class SensitivityAtSpecificity(_Tradeoff):
    """The best share of found ones while at least so many of the others are told to be others."""

    _wanted, _given = "sensitivity", "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


@registered("keras.metrics")
class SpecificityAtSensitivity(_Tradeoff):
    """The best share of others told to be others while at least so many are found."""

    _wanted, _given = "specificity", "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


@registered("keras.metrics")
class PrecisionAtRecall(_Tradeoff):
    """The best share of right ones among those taken for yes while at least so many are found."""

    _wanted, _given = "precision", "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


@registered("keras.metrics")
class RecallAtPrecision(_Tradeoff):
    """The best share of found ones while at least so many of those taken for yes are right."""

    _wanted, _given = "recall", "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
