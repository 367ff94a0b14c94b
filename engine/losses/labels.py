"""Losses that take class numbers: between embeddings of a batch, and one that bears with wrong labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import ops
from engine.losses.loss import NamedLoss, masked_weights, reduce_weighted
from engine.registry import registered
from engine.tensor import mask_of

# Stands for -∞ where a pair does not count: no exponential survives it, and gradients stay finite.
_NEVER = -1e9


@registered("keras.losses")
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """For each embedding: how far those of its class are, and how near those of others (Sun et al., 2020).

    Args:
        y_true: class numbers (batch,) or (batch, 1).
        y_pred: embeddings (batch, dim) of length 1.
        ref_labels, ref_embeddings: what they are compared with; default: one another.
        remove_diagonal: an embedding is not compared with the one at its own place.
        gamma: how much distances count.
        margin: how far classes are to be apart; between 0 and 1.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.reshape(ops.cast(y_true, "int32"), (-1, 1))
    others = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings)
    other_labels = labels if ref_labels is None else ops.reshape(ops.cast(ref_labels, "int32"), (-1, 1))
    distances = ops.maximum(1.0 - ops.einsum("ad,bd->ab", y_pred, others), 0.0)
    alike = ops.equal(labels, ops.transpose(other_labels))
    unlike = ops.logical_not(alike)
    if remove_diagonal:
        alike = ops.logical_and(alike, ~np.eye(labels.shape[0], other_labels.shape[0], dtype=bool))
    far = (margin + distances) * (distances - margin)
    near = ops.maximum(1.0 + margin - distances, 0.0) * (1.0 - margin - distances)
    sums = [
        ops.logsumexp(ops.where(counted, gamma * values, _NEVER), axis=1)
        for counted, values in ((alike, far), (unlike, near))
    ]
    return ops.softplus(sums[0] + sums[1])


@registered("keras.losses")
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """(1 - p^q) / q, p being what was given to the true class (Zhang and Sabuncu, 2018).

    Args:
        y_true: class numbers (batch, …).
        y_pred: probabilities (batch, …, classes).
        q: above 0 and below 1: near 0 it is cross-entropy, near 1 the absolute error.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.cast(y_true, "int32")
    if labels.ndim == y_pred.ndim and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, -1)
    right = ops.sum(y_pred * ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype.name), axis=-1)
    return (1.0 - ops.power(right, q)) / q


class _OfLabels(NamedLoss):
    """A loss whose truth are class numbers: they stay integers, which a half float would round."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        mask, y_pred = mask_of(y_pred), self._convert(y_pred)
        values = self.fn(ops.convert_to_tensor(y_true), y_pred, **self.options)
        weights = masked_weights(sample_weight, self._counted(values, mask), self.reduction, self.dtype)
        return reduce_weighted(values, weights, self.reduction)

    def _counted(self, values: Any, mask: Any) -> Any:
        """The mask of the values that count, or None."""
        return mask


@registered("keras.losses")
class Circle(_OfLabels):
    """See `circle`; embeddings for which it is 0 do not count in the mean.

    Raises:
        ValueError: `gamma` or `margin` outside its range.
    """

    _written = ("gamma", "margin", "remove_diagonal")

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "circle",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            circle,
            reduction=reduction,
            name=name,
            dtype=dtype,
            gamma=gamma,
            margin=margin,
            remove_diagonal=remove_diagonal,
        )

    def _counted(self, values: Any, mask: Any) -> Any:
        counted = ops.greater(values, 0.0)
        return counted if mask is None else ops.logical_and(counted, mask)


@registered("keras.losses")
class CategoricalGeneralizedCrossEntropy(_OfLabels):
    """See `categorical_generalized_cross_entropy`.

    Raises:
        ValueError: `q` outside its range.
    """

    _written = ("q",)

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(f"{type(self).__name__}: `q` must lie between 0 and 1. Received: {q!r}")
        super().__init__(categorical_generalized_cross_entropy, reduction=reduction, name=name, dtype=dtype, q=q)
