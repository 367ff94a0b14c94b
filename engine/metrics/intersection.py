"""Intersection over union: how well regions of classes overlap, from a matrix of what was taken for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.config import epsilon
from engine.metrics.metric import Metric
from engine.primitives.shaping import scatter_add
from engine.registry import registered


@registered("keras.metrics")
class IoU(Metric):
    """The mean over some classes of: entries of that class in truth and prediction, over those in either.

    Args:
        num_classes: how many classes there are.
        target_class_ids: those whose mean is taken.
        ignore_class: entries whose truth is this class do not count.
        sparse_y_true, sparse_y_pred: whether they are class numbers, or scores of which the largest is meant.
        axis: of the classes, where they are scores.

    Raises:
        ValueError: a target class out of range.
    """

    _direction = "up"
    _written: tuple[str, ...] = (
        *("num_classes", "target_class_ids", "ignore_class"),
        *("sparse_y_true", "sparse_y_pred", "axis"),
    )

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=dtype or "int32")
        if not 0 <= min(target_class_ids) <= max(target_class_ids) < num_classes:
            raise ValueError(
                f"{type(self).__name__}: target_class_ids must lie in 0..{num_classes - 1}. "
                f"Received: {list(target_class_ids)}"
            )
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable((num_classes, num_classes), name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true = y_true if self.sparse_y_true else ops.argmax(y_true, axis=self.axis)
        y_pred = y_pred if self.sparse_y_pred else ops.argmax(y_pred, axis=self.axis)
        truth, taken = (ops.reshape(ops.cast(ops.convert_to_tensor(y), "int32"), (-1,)) for y in (y_true, y_pred))
        weights = ops.cast(ops.convert_to_tensor(1 if sample_weight is None else sample_weight), self.dtype)
        weights = ops.reshape(weights, (-1,)) if weights.ndim > 1 else weights
        weights = ops.broadcast_to(weights, truth.shape)
        counts = ops.logical_and(truth >= 0, truth < self.num_classes)
        counts = ops.logical_and(counts, ops.logical_and(taken >= 0, taken < self.num_classes))
        if self.ignore_class is not None:
            counts = ops.logical_and(counts, ops.not_equal(truth, self.ignore_class))
        places = ops.where(counts, truth * self.num_classes + taken, 0)
        size = self.num_classes**2
        added = scatter_add(ops.where(counts, weights, 0), places, shape=(size,), axis=0)
        self.total_cm.assign_add(ops.cast(ops.reshape(added, self.total_cm.shape), self.dtype))

    def result(self) -> Any:
        matrix = ops.cast(self.total_cm, "float32")
        both = ops.sum(matrix * np.eye(self.num_classes, dtype=np.float32), axis=0)
        either = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - both
        wanted = np.asarray(self.target_class_ids, np.int32)
        both, either = ops.take(both, wanted), ops.take(either, wanted)
        seen = either > 1e-9
        shares = ops.where(seen, both / (either + epsilon()), 0.0)
        return ops.sum(shares) / (ops.sum(ops.cast(seen, "float32")) + epsilon())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in self._written}}


@registered("keras.metrics")
class BinaryIoU(IoU):
    """`IoU` of two classes, told by whether a prediction reaches a threshold.

    Args:
        target_class_ids: 0, 1 or both.
        threshold: from which on a prediction is class 1.
    """

    _written = ("target_class_ids", "threshold")

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        decided = ops.cast(ops.convert_to_tensor(y_pred), "float32") >= self.threshold
        super().update_state(y_true, decided, sample_weight)


@registered("keras.metrics")
class MeanIoU(IoU):
    """The mean of `IoU` over all classes. Arguments as in `IoU`."""

    _written: tuple[str, ...] = ("num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


@registered("keras.metrics")
class OneHotIoU(IoU):
    """`IoU` for truth that is one-hot. Arguments as in `IoU`."""

    _written = ("num_classes", "target_class_ids", "ignore_class", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


@registered("keras.metrics")
class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for truth that is one-hot. Arguments as in `IoU`."""

    _written = ("num_classes", "ignore_class", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
