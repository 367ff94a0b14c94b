"""Primitives that keep every value as it is: casts, copies, the end of a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.dtypes import as_dtype, is_float
from engine.primitives.primitive import Array, Spec, primitive, same_rule

_FEW = 4  # entries


def _cast_into(inputs: Any, outputs: Any, dtype: str) -> None:
    np.copyto(outputs[0], inputs[0], casting="unsafe")


@primitive(lambda spec, dtype: Spec(spec.shape, as_dtype(dtype)), into=_cast_into)
def cast(x: Array, dtype: str) -> Array:
    """`x` in another dtype; floats are truncated towards zero on their way to integers."""
    return x.astype(as_dtype(dtype))


@cast.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, dtype: str) -> Any:
    if not (is_float(inputs[0].dtype) and is_float(dtype)):
        return [None]
    return [cast(gradients[0], dtype=inputs[0].dtype.name)]


def _copy_into(inputs: Any, outputs: Any) -> None:
    source, target = inputs[0], outputs[0]
    if source.ndim > 1 and source.shape[-1] <= _FEW and source.strides[-1] != source.itemsize:
        # NumPy would go along these few entries again and again: five times as slow for a channels-first image (seen).
        for index in range(source.shape[-1]):
            target[..., index] = source[..., index]
    else:
        np.copyto(target, source)


@primitive(same_rule, into=_copy_into)
def copy(x: Array) -> Array:
    """`x` in memory of its own, in row-major order."""
    return np.array(x, order="C")


@copy.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [gradients[0]]


@primitive(same_rule, view=True, differentiable=False)
def stop_gradient(x: Array) -> Array:
    """`x`, through which no gradient passes."""
    return x.view()
