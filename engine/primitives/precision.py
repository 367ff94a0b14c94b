"""Precision: arrays that stand for float32 ones in fewer bits, and chains that are computed on them.

A quantised array holds int8 or uint8 numbers q that stand for q · scale; the zero point always is 0, so that zero
padding stays exact. Weights have a scale for each output channel. bfloat16 needs no scales. Only passes over a
captured graph make such nodes, where a kernel takes them.
"""

from __future__ import annotations

import numpy as np

from engine.dtypes import as_dtype
from engine.primitives.fusion import Chain, fused
from engine.primitives.primitive import Array, Spec, primitive

Scales = tuple[float | None, ...]

LARGEST = {"uint8": 255, "int8": 127}
"""The largest number that stands for a value, by dtype. -128 is left out: ranges are symmetric."""


def rounded(values: Array, dtype: str) -> Array:
    """Integers nearest to `values`, half to even, saturated at the ends of `dtype`."""
    bounds = np.iinfo(dtype)
    return np.clip(np.rint(values), bounds.min, bounds.max).astype(dtype)


def quantized_weights(weights: Array) -> tuple[Array, Array]:
    """Weights in int8, and the float32 scale of each output channel, the last axis, whose largest weight is ±127.

    Of a convolution's weights (*window, inputs, outputs) the sum over each window is kept within half a unit, at the
    price of rounding some of them to their second nearest integer. Neighbouring entries of images are alike, so that
    the errors of a window add up rather than cancel out: this halves what rounding the weights does to the outputs.
    """
    largest = np.abs(weights).max(axis=tuple(range(weights.ndim - 1)), initial=0.0)
    # A channel of zeros keeps its zeros at any scale.
    scales = np.where(largest > 0, largest / LARGEST["int8"], 1.0).astype(np.float32)
    exact = (weights / scales).reshape(-1, *weights.shape[-2:])
    nearest = np.rint(exact)
    if len(nearest) > 1:
        errors = exact - nearest
        excess = np.rint(errors.sum(axis=0))  # how many units the sum of the nearest integers is too small
        # The entries that were rounded by the most in that direction go the other way.
        direction = np.sign(excess)
        rank = np.argsort(np.argsort(-errors * direction, axis=0, kind="stable"), axis=0)
        nearest += np.where(rank < np.abs(excess), direction, 0)
    return rounded(nearest, "int8").reshape(weights.shape), scales


@primitive(lambda x, scale, dtype: Spec(x.shape, np.dtype(dtype)), differentiable=False)
def quantize(x: Array, scale: float, dtype: str) -> Array:
    """x / scale as "uint8" or "int8": rounded half to even, saturated."""
    return rounded(x.astype(np.float64) / scale, dtype)


@primitive(lambda x, scale: Spec(x.shape, np.dtype(np.float32)), differentiable=False)
def dequantize(x: Array, scale: float) -> Array:
    """x · scale as float32."""
    return (x.astype(np.float64) * scale).astype(np.float32)


def _reduced_rule(*specs: Spec, chain: Chain, scales: Scales, scale: float | None, dtype: str) -> Spec:
    wide = [Spec(spec.shape, np.dtype(np.float32)) for spec in specs[: len(scales)]]
    return Spec(fused.infer(wide, {"chain": chain})[0].shape, as_dtype(dtype))


@primitive(_reduced_rule, differentiable=False)
def reduced(*arrays: Array, chain: Chain, scales: Scales, scale: float | None, dtype: str) -> Array:
    """A fused chain on arrays of reduced precision, computed as if they were what they stand for.

    Args:
        arrays: the inputs of the chain; after them, where the head's weights (input 1) are quantised, the float32
            scale of each of their output channels.
        chain: what is computed, see `engine.primitives.fusion`.
        scales: for each input of the chain its scale; None where it stands for itself.
        scale: of the result; None: it stands for itself.
        dtype: of the result: "uint8" or "int8" where it has a scale, else a float type.
    """
    wide = [
        array.astype(np.float64) if one is None else array.astype(np.float64) * one
        for array, one in zip(arrays, scales, strict=False)
    ]
    if len(arrays) > len(scales):
        wide[1] = wide[1] * arrays[-1]
    result = fused.reference(*wide, chain=chain)
    return result.astype(as_dtype(dtype)) if scale is None else rounded(result / scale, dtype)
