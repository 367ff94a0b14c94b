"""The scale of a model's pixels, from the statistics that its first batch normalisation learnt from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.adding.preprocessing import Color, preprocessing_of
from service.adding.probes import prepared, probe_images

Floats = NDArray[np.float64]
_BEFORE = ("InputLayer", "Permute", "Reshape", "ZeroPadding2D", "Conv2D", "DepthwiseConv2D", "SeparableConv2D")
"""Layers through which a scale shows: they are linear, and learnt for it."""
_FURTHER = 2.0
"""How many times worse the next best mode must fit."""
_WORST = 3.0
"""The divergence above which none fits."""


def fitting_mode(model: Any, size: tuple[int, int], channels: int) -> str | None:
    """The mode under which photograph-like images give the first batch normalisation what it saw in training.

    Args:
        model: Takes images (n, height, width, channels), its only input. size: Width and height of them.

    Returns:
        `caffe`, `torch`, `tf`, `scale` or `none`; None where there is no such layer close to the input, it was not
        trained, or two modes fit alike.
    """
    layer = _first_normalisation(model)
    if layer is None:
        return None
    mean, variance = (np.asarray(value, np.float64) for value in (layer.moving_mean, layer.moving_variance))
    if not np.all(np.isfinite(mean) & np.isfinite(variance) & (variance > 0)):
        return None
    if np.all(mean == 0.0) and np.all(variance == 1.0):
        return None
    from engine import Model

    before = Model(model.inputs, layer.input)
    images = probe_images(*size, channels)
    modes = ("none", "scale", "tf") if channels == 1 else ("none", "scale", "tf", "torch", "caffe")
    scores = {}
    for mode in modes:
        color: Color = "grey" if channels == 1 else "bgr" if mode == "caffe" else "rgb"
        values = np.asarray(before.predict(prepared(images, preprocessing_of(mode, color)), verbose=0), np.float64)
        values = values.reshape(-1, values.shape[-1])
        scores[mode] = _divergence(values.mean(axis=0), values.var(axis=0), mean, variance)
    best, second = sorted(scores, key=scores.__getitem__)[:2]
    return best if scores[best] < _WORST and scores[second] > _FURTHER * scores[best] else None


def _first_normalisation(model: Any) -> Any:
    """The batch normalisation that the input reaches through linear layers alone; None where there is none."""
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "BatchNormalization":
            return layer if len(layer.inbound_nodes) == 1 else None
        if kind not in _BEFORE or getattr(getattr(layer, "activation", None), "__name__", "linear") != "linear":
            return None
    return None


def _divergence(mean: Floats, variance: Floats, learnt_mean: Floats, learnt_variance: Floats) -> float:
    """Median over the channels of Jeffreys's divergence of two normal distributions."""
    variance = np.maximum(variance, 1e-12)
    ratio = variance / learnt_variance
    shift = (mean - learnt_mean) ** 2
    each = 0.5 * (ratio + 1 / ratio + shift * (1 / variance + 1 / learnt_variance)) - 1.0
    return float(np.median(each))
