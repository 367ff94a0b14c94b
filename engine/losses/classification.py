"""Losses between classes: cross-entropies, their focal forms, hinges."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.config import epsilon
from engine.losses.loss import NamedLoss, matched_weights, reduce_weighted
from engine.losses.regression import floats
from engine.registry import registered


@registered("keras.losses")
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """Cross-entropy of class probabilities along `axis`.

    Args:
        y_true: probabilities, one-hot as a rule, shaped like `y_pred`.
        y_pred: probabilities (normalised here), or logits with `from_logits`.
        label_smoothing: the share of the truth that is spread evenly over all classes.

    Raises:
        ValueError: the shapes differ.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype.name)
    if y_true.shape != y_pred.shape:
        hint = ""
        if y_true.ndim == y_pred.ndim - 1 or y_true.shape[-1:] == (1,):
            hint = " For class numbers as targets use sparse_categorical_crossentropy."
        raise ValueError(
            "categorical_crossentropy expects targets (one-hot) of the shape of the predictions. "
            f"Received: targets of shape {y_true.shape}, predictions of shape {y_pred.shape}.{hint}"
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[axis]
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


@registered("keras.losses")
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """Cross-entropy of class probabilities along `axis` for truth given as class numbers.

    Args:
        y_true: class numbers, shaped like `y_pred` without `axis` (or with 1 there).
        y_pred: probabilities (normalised here), or logits with `from_logits`.
        ignore_class: the loss is 0 where the truth is this number.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    position = axis % len(y_pred.shape)
    expected = (*y_pred.shape[:position], *y_pred.shape[position + 1 :])
    if tuple(y_true.shape) != expected:
        raise ValueError(
            f"sparse_categorical_crossentropy expects class numbers of shape {expected} for predictions of shape "
            f"{y_pred.shape}. Received: targets of shape {y_true.shape}."
        )
    y_true = ops.cast(y_true, "int32")
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    kept = ops.not_equal(y_true, ignore_class)
    values = ops.sparse_categorical_crossentropy(ops.where(kept, y_true, 0), y_pred, from_logits=from_logits, axis=axis)
    return ops.where(kept, values, 0.0)


@registered("keras.losses", "bce", "BCE")
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """The mean along `axis` of the cross-entropy of yes or no.

    Args:
        y_true: 0 or 1, or probabilities.
        y_pred: probabilities, or logits with `from_logits`.
        label_smoothing: the truth is moved by this share towards 0.5.
    """
    y_true, y_pred = floats(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


@registered("keras.losses")
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Binary cross-entropy times `(1 - p)^gamma`, p being what was given to the true class (Lin et al. 2017)."""
    y_true, y_pred = floats(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    right = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    values = ops.power(1.0 - right, gamma) * ops.binary_crossentropy(y_true, y_pred)
    if apply_class_balancing:
        values = values * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(values, axis=axis)


@registered("keras.losses")
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Categorical cross-entropy with each class's part times `alpha * (1 - p)^gamma` (Lin et al. 2017)."""
    y_true, y_pred = floats(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[axis]
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    y_pred = ops.clip(y_pred / ops.sum(y_pred, axis=axis, keepdims=True), epsilon(), 1.0 - epsilon())
    return ops.sum(alpha * ops.power(1.0 - y_pred, gamma) * -(y_true * ops.log(y_pred)), axis=axis)


def _signs(y_true: Any) -> Any:
    """Truth given as 0 and 1 as -1 and 1; truth given as -1 and 1 as it is. Decided over the whole tensor."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    return ops.where(binary, 2.0 * y_true - 1.0, y_true)


@registered("keras.losses")
def hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `max(0, 1 - y_true * y_pred)`; the truth is -1 or 1 (0 counts as -1)."""
    y_true, y_pred = floats(y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0), axis=-1)


@registered("keras.losses")
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of `max(0, 1 - y_true * y_pred)²`; the truth is -1 or 1 (0 counts as -1)."""
    y_true, y_pred = floats(y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)), axis=-1)


@registered("keras.losses")
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """`max(0, 1 + (best wrong class) - (true class))` along the last axis, the truth one-hot."""
    y_true, y_pred = floats(y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


@registered("keras.losses")
class CategoricalCrossentropy(NamedLoss):
    """See `categorical_crossentropy`."""

    _written = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@registered("keras.losses")
class SparseCategoricalCrossentropy(NamedLoss):
    """See `sparse_categorical_crossentropy`. Ignored items do not count in the mean either."""

    _written = ("from_logits", "ignore_class")

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        # Class numbers stay integers: a half float would round those above 256.
        y_true, y_pred = ops.convert_to_tensor(y_true), self._convert(y_pred)
        values = self.fn(y_true, y_pred, **self.options)
        ignored = self.options["ignore_class"]
        if ignored is not None:
            kept = ops.reshape(ops.cast(ops.not_equal(y_true, ignored), self.dtype), values.shape)
            if self.reduction in ("sum_over_batch_size", "mean"):
                kept = ops.divide_no_nan(kept, ops.mean(kept))
            sample_weight = kept if sample_weight is None else kept * matched_weights(values, sample_weight)
        return reduce_weighted(values, sample_weight, self.reduction)


@registered("keras.losses")
class BinaryCrossentropy(NamedLoss):
    """See `binary_crossentropy`."""

    _written = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@registered("keras.losses")
class BinaryFocalCrossentropy(NamedLoss):
    """See `binary_focal_crossentropy`."""

    _written = (
        "from_logits",
        "label_smoothing",
        "axis",
        "apply_class_balancing",
        "alpha",
        "gamma",
    )

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
        )


@registered("keras.losses")
class CategoricalFocalCrossentropy(NamedLoss):
    """See `categorical_focal_crossentropy`."""

    _written = ("from_logits", "label_smoothing", "axis", "alpha", "gamma")

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_focal_crossentropy,
            reduction=reduction,
            name=name,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
            alpha=alpha,
            gamma=gamma,
        )


@registered("keras.losses")
class Hinge(NamedLoss):
    """See `hinge`."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "hinge", dtype: Any = None) -> None:
        super().__init__(hinge, reduction=reduction, name=name, dtype=dtype)


@registered("keras.losses")
class SquaredHinge(NamedLoss):
    """See `squared_hinge`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "squared_hinge", dtype: Any = None
    ) -> None:
        super().__init__(squared_hinge, reduction=reduction, name=name, dtype=dtype)


@registered("keras.losses")
class CategoricalHinge(NamedLoss):
    """See `categorical_hinge`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "categorical_hinge", dtype: Any = None
    ) -> None:
        super().__init__(categorical_hinge, reduction=reduction, name=name, dtype=dtype)
