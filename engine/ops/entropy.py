"""Cross-entropies and one-hot encoding."""

from __future__ import annotations

from typing import Any

from engine.config import epsilon
from engine.dtypes import as_dtype
from engine.ops.activations import log_softmax, softplus
from engine.ops.axes import one_axis
from engine.ops.declare import operation
from engine.ops.elementwise import floating
from engine.ops.shaping import moveaxis, squeeze
from engine.primitives import casting, indexing, shaping
from engine.primitives import elementwise as e
from engine.primitives.apply import as_value


@operation("nn", "OneHot", settings=("num_classes", "axis", "dtype", "sparse"))
def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """Ones at integer classes along a new axis; classes out of range give zeros."""
    if sparse:
        raise ValueError("Sparse tensors are not supported.")
    value = as_value(x)
    if value.dtype.kind not in "iu":
        value = casting.cast(value, dtype="int32")
    encoded = indexing.one_hot(value, depth=int(num_classes), dtype=as_dtype(dtype).name)
    place = one_axis(axis, encoded.ndim)
    return encoded if place == encoded.ndim - 1 else moveaxis(encoded, -1, place)


def _log_probabilities(output: Any, from_logits: bool, axis: int) -> Any:
    if from_logits:
        return log_softmax(output, axis)
    output = e.divide(output, shaping.reduce_sum(output, axes=(axis,), keepdims=True))
    return e.log(indexing.clip(output, minimum=epsilon(), maximum=1.0 - epsilon()))


@operation("nn", "CategoricalCrossentropy", settings=("from_logits", "axis"))
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """-Σ target · log(output) along an axis; outputs are probabilities, or logits."""
    target, output = as_value(target), floating(output)
    if target.shape != output.shape or output.ndim < 1:
        raise ValueError(
            f"categorical_crossentropy() expects target and output of one shape. "
            f"Received: {target.shape} and {output.shape}"
        )
    place = one_axis(axis, output.ndim)
    logarithms = _log_probabilities(output, from_logits, place)
    return e.negative(shaping.reduce_sum(e.multiply(target, logarithms), axes=(place,)))


@operation("nn", "SparseCategoricalCrossentropy", settings=("from_logits", "axis"))
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """-log(output) at the target class along an axis; a last axis of length 1 of the target is dropped."""
    target, output = as_value(target), floating(output)
    if output.ndim < 1:
        raise ValueError(f"sparse_categorical_crossentropy() expects an output with classes. Received: {output.shape}")
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = squeeze(target, -1)
    place = one_axis(axis, output.ndim)
    if target.shape != shaping.reduced_shape(output.shape, (place,), False):
        raise ValueError(
            f"sparse_categorical_crossentropy() expects a class for each output: a target of shape "
            f"{shaping.reduced_shape(output.shape, (place,), False)}. Received: {target.shape} and {output.shape}"
        )
    logarithms = _log_probabilities(output, from_logits, place)
    chosen = one_hot(target, output.shape[place], place, output.dtype)
    return e.negative(shaping.reduce_sum(e.multiply(chosen, logarithms), axes=(place,)))


@operation("nn", "BinaryCrossentropy", settings=("from_logits",))
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """-target · log(output) - (1 - target) · log(1 - output), entry by entry; outputs are probabilities, or logits."""
    target, output = as_value(target), floating(output)
    if target.shape != output.shape:
        raise ValueError(
            f"binary_crossentropy() expects target and output of one shape. Received: {target.shape} and {output.shape}"
        )
    if target.dtype != output.dtype:
        target = casting.cast(target, dtype=output.dtype.name)
    if from_logits:
        # -t log s(x) - (1 - t) log(1 - s(x)) = log(1 + exp(x)) - t x
        return e.subtract(softplus(output), e.multiply(target, output))
    output = indexing.clip(output, minimum=epsilon(), maximum=1.0 - epsilon())
    on = e.multiply(target, e.log(output))
    off = e.multiply(e.subtract(1.0, target), e.log(e.subtract(1.0, output)))
    return e.negative(e.add(on, off))
