"""Accuracies: the share of predictions that hit, for class numbers, one-hot truth, yes or no, and the best k."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.losses.loss import matched_ranks
from engine.metrics.reduction import NamedMean
from engine.registry import registered


def _hits(a: Any, b: Any, dtype: str) -> Any:
    return ops.cast(ops.equal(a, b), dtype)


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of where truth and prediction are equal."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype.name)
    y_true, y_pred = matched_ranks(y_true, y_pred)
    return ops.mean(_hits(y_true, y_pred, "float32"), axis=-1)


@registered("keras.metrics")
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Where (prediction > threshold) equals the truth, 1.0 or 0.0 for each value."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype.name)
    y_true, y_pred = matched_ranks(y_true, y_pred)
    return _hits(y_true, ops.cast(y_pred > threshold, y_pred.dtype.name), "float32")


@registered("keras.metrics")
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Where the largest prediction along the last axis stands at the truth's largest value."""
    y_true = ops.argmax(ops.convert_to_tensor(y_true), axis=-1)
    return _hits(y_true, ops.argmax(ops.convert_to_tensor(y_pred), axis=-1), "float32")


def _class_numbers(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Class numbers as int32 without a last axis of 1, and predictions with one axis more."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    return ops.cast(y_true, "int32"), y_pred


@registered("keras.metrics")
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Where the largest prediction along the last axis stands at the class number of the truth."""
    y_true, y_pred = _class_numbers(y_true, y_pred)
    return _hits(y_true, ops.cast(ops.argmax(y_pred, axis=-1), "int32"), "float32")


def _among_best(y_true: Any, y_pred: Any, k: int) -> Any:
    """Where fewer than `k` classes were given more than the true one: equal predictions count for it."""
    given = ops.take_along_axis(y_pred, ops.expand_dims(y_true, axis=-1), axis=-1)
    better = ops.sum(ops.cast(y_pred > given, "int32"), axis=-1)
    finite = ops.squeeze(ops.isfinite(given), axis=-1)
    return ops.cast(ops.logical_and(better < k, finite), "float32")


@registered("keras.metrics")
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Where the truth's largest value stands at one of the `k` largest predictions."""
    y_true = ops.cast(ops.argmax(ops.convert_to_tensor(y_true), axis=-1), "int32")
    return _among_best(y_true, ops.convert_to_tensor(y_pred), k)


@registered("keras.metrics")
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """Where the class number of the truth is one of the `k` largest predictions.

    Args:
        from_sorted_ids: `y_pred` holds class numbers, best first, instead of predictions.
    """
    y_true, y_pred = _class_numbers(y_true, y_pred)
    if from_sorted_ids:
        found = ops.equal(ops.expand_dims(y_true, axis=-1), ops.cast(y_pred[..., :k], "int32"))
        return ops.cast(ops.any(found, axis=-1), "float32")
    return _among_best(y_true, y_pred, k)


class _Share(NamedMean):
    """Base: a share of hits."""

    _direction = "up"


@registered("keras.metrics")
class Accuracy(_Share):
    """How often the prediction equals the truth."""

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name=name, dtype=dtype)


@registered("keras.metrics")
class BinaryAccuracy(_Share):
    """How often (prediction > threshold) equals the truth, 0 or 1.

    Raises:
        ValueError: the threshold does not lie in 0..1.
    """

    _written = ("threshold",)

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        if threshold is not None and not 0 < threshold < 1:
            raise ValueError(f"BinaryAccuracy: threshold must lie between 0 and 1. Received: {threshold}")
        super().__init__(binary_accuracy, name=name, dtype=dtype, threshold=threshold)


@registered("keras.metrics")
class CategoricalAccuracy(_Share):
    """How often the largest prediction stands at the one-hot truth's class."""

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name=name, dtype=dtype)


@registered("keras.metrics")
class SparseCategoricalAccuracy(_Share):
    """How often the largest prediction stands at the truth's class number."""

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name=name, dtype=dtype)


@registered("keras.metrics")
class TopKCategoricalAccuracy(_Share):
    """How often the one-hot truth's class is among the `k` largest predictions."""

    _written = ("k",)

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name=name, dtype=dtype, k=k)


@registered("keras.metrics")
class SparseTopKCategoricalAccuracy(_Share):
    """How often the truth's class number is among the `k` largest predictions."""

    _written = ("k",)

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(
            sparse_top_k_categorical_accuracy, name=name, dtype=dtype, k=k, from_sorted_ids=from_sorted_ids
        )
