"""What a loss is: a value an item from truth and prediction, weighted and reduced to one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import ops, tree
from engine.dtypes import standardize_dtype
from engine.naming import auto_name
from engine.registry import deserialize, registered, serialize
from engine.tensor import mask_of

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def matched_ranks(a: Any, b: Any) -> tuple[Any, Any]:
    """Two tensors whose ranks differ by a last axis of 1, brought to one rank; others stay as they are."""
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, ops.expand_dims(b, axis=-1)) if b.ndim == 1 else (ops.squeeze(a, axis=-1), b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (ops.expand_dims(a, axis=-1), b) if a.ndim == 1 else (a, ops.squeeze(b, axis=-1))
    return a, b


def matched_weights(values: Any, weights: Any) -> Any:
    """Weights in the dtype and rank of `values`: a superfluous last axis of 1 goes, missing last axes are added."""
    weights = ops.cast(ops.convert_to_tensor(weights), values.dtype.name)
    if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
        return ops.squeeze(weights, axis=-1)
    if 0 < weights.ndim < values.ndim:
        return ops.reshape(weights, (*weights.shape, *(1,) * (values.ndim - weights.ndim)))
    return weights


def reduce_weighted(values: Any, sample_weight: Any = None, reduction: str | None = "sum_over_batch_size") -> Any:
    """Values times weights, reduced.

    Args:
        values: a float tensor, one value an item.
        sample_weight: a tensor that broadcasts to `values`, or that has its first axes; or None.
        reduction: "sum"; "sum_over_batch_size" or "mean": the sum over the number of values, whatever the weights;
            "mean_with_sample_weight": over the sum of the weights; "none" or None: values as they are.
    """
    weights = None if sample_weight is None else matched_weights(values, sample_weight)
    if weights is not None:
        values = values * weights
    if reduction in (None, "none") or values.ndim == 0:
        return values
    total = ops.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        return ops.divide_no_nan(total, ops.sum(weights * ops.ones_like(values)))
    return total / max(values.size, 1)


def masked_weights(sample_weight: Any, mask: Any, reduction: str | None, dtype: str) -> Any:
    """Weights under which what a mask leaves out does not count.

    Args:
        sample_weight: of the caller, or None.
        mask: the mask on the predictions, or None.
        reduction: where it divides by the number of values, the weights make up for those left out.
        dtype: of the weights.
    """
    if mask is None:
        return sample_weight
    kept = ops.cast(ops.convert_to_tensor(mask), dtype)
    if reduction in ("sum_over_batch_size", "mean"):
        kept = kept * ops.divide_no_nan(float(kept.size), ops.sum(kept))
    return kept if sample_weight is None else kept * matched_weights(kept, sample_weight)


@registered("keras.losses")
class Loss:
    """Base of losses; subclasses define `call(y_true, y_pred)`, one value an item.

    Args:
        name: default: the class's name in snake case.
        reduction: see `reduce_weighted`.
        dtype: of the computation; default: the default float type.
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"Loss: reduction must be one of {REDUCTIONS}. Received: {reduction!r}")
        self.name = name or auto_name(type(self).__name__)
        self.reduction = reduction
        self._dtype = standardize_dtype(getattr(dtype, "compute_dtype", dtype))

    @property
    def dtype(self) -> str:
        return self._dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no call(y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        weights = masked_weights(sample_weight, mask_of(y_pred), self.reduction, self._dtype)
        y_true = tree.map_structure(self._convert, y_true)
        y_pred = tree.map_structure(self._convert, y_pred)
        return reduce_weighted(self.call(y_true, y_pred), weights, self.reduction)

    def _convert(self, value: Any) -> Any:
        return ops.cast(ops.convert_to_tensor(value), self._dtype)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        config = dict(config)
        if isinstance(config.get("fn"), dict):
            config["fn"] = deserialize(config["fn"])
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A loss made of a function `(y_true, y_pred, **options)`."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self.options = options

    def call(self, y_true: Any, y_pred: Any) -> Any:
        flat = tree.flatten(y_true), tree.flatten(y_pred)
        if len(flat[0]) == len(flat[1]) == 1:
            y_true, y_pred = matched_ranks(flat[0][0], flat[1][0])
        return self.fn(y_true, y_pred, **self.options)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update({"fn": serialize(self.fn), **self.options})
        return config

    def __repr__(self) -> str:
        return f"<LossFunctionWrapper({self.fn}, kwargs={self.options})>"


class NamedLoss(LossFunctionWrapper):
    """A loss whose class fixes the function: its config holds the base's entries and the options in `_written`."""

    _written: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        return {**Loss.get_config(self), **{name: self.options[name] for name in self._written}}
