"""Primitives that look up, sort and limit values."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from engine.dtypes import as_dtype
from engine.primitives.casting import cast
from engine.primitives.elementwise import greater_equal, less_equal, logical_and, multiply
from engine.primitives.primitive import Array, Spec, primitive, same_rule

# One-hot ------------------------------------------------------------------------------------------------------------


def _one_hot_rule(indices: Spec, depth: int, dtype: str) -> Spec:
    if indices.dtype.kind not in "iu":
        raise ValueError(f"one_hot expects integer indices. Received: dtype {indices.dtype.name}")
    return Spec((*indices.shape, depth), as_dtype(dtype))


def _one_hot_into(inputs: Any, outputs: Any, depth: int, dtype: str) -> None:
    outputs[0][...] = inputs[0][..., None] == np.arange(depth)


@primitive(_one_hot_rule, into=_one_hot_into, differentiable=False)
def one_hot(indices: Array, depth: int, dtype: str) -> Array:
    """Ones at `indices` along a new last axis of length `depth`; indices out of range give zeros only."""
    return (indices[..., None] == np.arange(depth)).astype(as_dtype(dtype))


# Along one axis -----------------------------------------------------------------------------------------------------


def _along_rule(x: Spec, indices: Spec, axis: int) -> Spec:
    if len(x.shape) != len(indices.shape) or any(
        a != b and b != 1 and a != 1
        for index, (a, b) in enumerate(zip(x.shape, indices.shape, strict=True))
        if index != axis
    ):
        raise ValueError(
            f"take_along_axis expects shapes that match outside axis {axis}. Received: {x.shape} and {indices.shape}"
        )
    shape = (
        b if index == axis else max(a, b) if min(a, b) else 0
        for index, (a, b) in enumerate(zip(x.shape, indices.shape, strict=True))
    )
    return Spec(tuple(shape), x.dtype)


def _along_key(shape: tuple[int, ...], indices: Array, axis: int) -> tuple[Array, ...]:
    """An index array for each axis: `indices` on `axis`, every position on the others."""
    rank = len(shape)
    return tuple(
        indices
        if index == axis
        else np.arange(length).reshape((1,) * index + (-1,) + (1,) * (rank - index - 1))
        if length != 1
        else np.zeros((1,) * rank, np.intp)
        for index, length in enumerate(shape)
    )


@primitive(_along_rule)
def take_along_axis(x: Array, indices: Array, axis: int) -> Array:
    """For each position the entry of `x` at the given index along `axis`; other axes broadcast."""
    return x[_along_key(x.shape, indices, axis)]


def _add_along_rule(x: Spec, indices: Spec, shape: tuple[int, ...], axis: int) -> Spec:
    return Spec(shape, x.dtype)


@primitive(_add_along_rule)
def add_along_axis(x: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Zeros of `shape` to which `x` is added at `indices` along `axis`: the transpose of `take_along_axis`."""
    result = np.zeros(shape, x.dtype)
    np.add.at(result, _along_key(shape, indices, axis), x)
    return result


@take_along_axis.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axis: int) -> Any:
    return [add_along_axis(gradients[0], inputs[1], shape=inputs[0].shape, axis=axis), None]


@add_along_axis.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, shape: Any, axis: int) -> Any:
    return [take_along_axis(gradients[0], inputs[1], axis=axis), None]


# Order --------------------------------------------------------------------------------------------------------------


def _int32_rule(spec: Spec, **_: Any) -> Spec:
    return Spec(spec.shape, np.dtype(np.int32))


@primitive(_int32_rule, differentiable=False)
def argsort(x: Array, axis: int, descending: bool = False) -> Array:
    """Indices (int32) that sort `x` along `axis`; equal entries keep their order. NaN counts as the largest."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable").astype(np.int32)
    flipped = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return (x.shape[axis] - 1 - np.flip(flipped, axis)).astype(np.int32)


def _top_k_rule(spec: Spec, k: int) -> Spec:
    if not spec.shape or not 0 <= k <= spec.shape[-1]:
        raise ValueError(f"top_k expects k between 0 and the length of the last axis of {spec.shape}. Received: {k}")
    return Spec((*spec.shape[:-1], k), np.dtype(np.int32))


@primitive(_top_k_rule, differentiable=False)
def top_k_indices(x: Array, k: int) -> Array:
    """Indices (int32) of the k largest entries along the last axis, largest first, equal ones by position."""
    return argsort.reference(x, axis=x.ndim - 1, descending=True)[..., :k]


def _search_rule(sequence: Spec, values: Spec, side: str) -> Spec:
    if len(sequence.shape) != 1 or side not in ("left", "right"):
        raise ValueError(
            "searchsorted expects one sorted axis, and the side 'left' or 'right'. "
            f"Received: shape {sequence.shape} and {side!r}"
        )
    return Spec(values.shape, np.dtype(np.int32))


@primitive(_search_rule, promote=True, differentiable=False)
def searchsorted(sequence: Array, values: Array, side: Literal["left", "right"]) -> Array:
    """How many entries (int32) of an ascending sequence lie below each value ("left"), or not above it ("right").

    NaN counts as the largest.
    """
    return np.searchsorted(sequence, values, side=side).astype(np.int32)


# Limits -------------------------------------------------------------------------------------------------------------


def _clip_into(inputs: Any, outputs: Any, minimum: float, maximum: float) -> None:
    np.clip(inputs[0], minimum, maximum, out=outputs[0])


@primitive(same_rule, into=_clip_into, inplace=((0, 0),))
def clip(x: Array, minimum: float, maximum: float) -> Array:
    """`x` limited to [minimum, maximum]; the gradient passes where x lies inside, the bounds included."""
    return np.clip(x, x.dtype.type(minimum), x.dtype.type(maximum))


@clip.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, minimum: float, maximum: float) -> Any:
    (x,) = inputs
    inside = logical_and(greater_equal(x, minimum), less_equal(x, maximum))
    return [multiply(gradients[0], cast(inside, dtype=x.dtype.name))]
