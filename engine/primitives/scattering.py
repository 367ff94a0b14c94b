"""Writing entries to places along an axis: the counterpart of `take_along_axis`."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.primitives.indexing import take_along_axis
from engine.primitives.primitive import Array, Spec, primitive
from engine.primitives.shaping import getitem
from engine.tensor import full_like

REDUCTIONS = ("none", "add", "mul", "max", "min")
"""What becomes of the entry that was there: it is replaced, or joined with the new one."""

_UFUNCS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _rule(x: Spec, indices: Spec, updates: Spec, axis: int, reduction: str) -> Spec:
    if len({len(spec.shape) for spec in (x, indices, updates)}) != 1 or indices.shape != updates.shape:
        raise ValueError(
            f"put_along_axis expects indices and updates of one shape, with as many axes as x. Received: "
            f"{x.shape}, {indices.shape} and {updates.shape}"
        )
    outside = [(a, b) for place, (a, b) in enumerate(zip(x.shape, indices.shape, strict=True)) if place != axis]
    if any(b > a for a, b in outside):
        raise ValueError(f"put_along_axis: indices of the shape {indices.shape} do not fit x of the shape {x.shape}")
    if indices.dtype.kind not in "iu" or updates.dtype != x.dtype or reduction not in REDUCTIONS:
        raise ValueError(
            f"put_along_axis expects integer indices, updates like x and a reduction among {', '.join(REDUCTIONS)}. "
            f"Received: {indices.dtype.name}, {updates.dtype.name} for {x.dtype.name}, {reduction!r}"
        )
    return Spec(x.shape, x.dtype)


@primitive(_rule)
def put_along_axis(x: Array, indices: Array, updates: Array, axis: int, reduction: str) -> Array:
    """`x` with `updates` at the given indices along `axis`; on the other axes an update's own position counts.

    Of several updates of one entry with the reduction "none", the last one stays.
    """
    rank = x.ndim
    key = tuple(
        indices if place == axis else np.arange(length).reshape((1,) * place + (-1,) + (1,) * (rank - place - 1))
        for place, length in enumerate(indices.shape)
    )
    result = np.array(x, order="C")
    if reduction == "none":
        result[key] = updates
    else:
        _UFUNCS[reduction].at(result, key, updates)
    return result


@put_along_axis.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, axis: int, reduction: str) -> Any:
    if reduction not in ("none", "add"):
        raise ValueError(f"put_along_axis has no gradient with the reduction {reduction!r}")
    (g,), (x, indices, updates) = gradients, inputs
    by_x = by_updates = None
    if needed[0]:
        zeros = full_like(updates, 0.0)
        by_x = g if reduction == "add" else put_along_axis(g, indices, zeros, axis=axis, reduction="none")
    if needed[2]:
        shape = indices.shape
        key = tuple((0, x.shape[place] if place == axis else shape[place], 1) for place in range(len(shape)))
        by_updates = take_along_axis(getitem(g, key=key), indices, axis=axis)
    return [by_x, None, by_updates]
