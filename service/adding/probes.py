"""Made-up images to try a model with before any real one is at hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.architectures import Preprocessing

COUNT = 8
_PIXELS = 1 << 22  # of all of them together: there are fewer large ones, but at least one
_SEED = 0
_MEAN, _DEVIATION = 115.0, 62.0  # of pixels of photographs, from 0 to 255
_SHARED = 0.9  # how much of a pixel's deviation its colours have in common


def probe_images(width: int, height: int, channels: int) -> NDArray[np.uint8]:
    """Images with the brightness, contrast and smoothness of photographs: amplitudes fall as 1 / frequency.

    Returns:
        uint8 [up to COUNT, height, width, channels], the same at each call.
    """
    count = min(COUNT, max(1, _PIXELS // (width * height)))
    rng = np.random.default_rng(_SEED)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequencies[0, 0] = np.inf
    noise = rng.standard_normal((count, channels + 1, height, width))
    planes = np.fft.irfft2(np.fft.rfft2(noise) / frequencies, s=(height, width))
    planes /= planes.std(axis=(2, 3), keepdims=True) + 1e-12
    mixed = _SHARED * planes[:, :1] + np.sqrt(1 - _SHARED**2) * planes[:, 1:]
    means = _MEAN + 0.4 * _DEVIATION * rng.standard_normal((count, 1, 1, 1))
    pixels = np.clip(np.rint(means + 0.9 * _DEVIATION * mixed), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def extreme_images(width: int, height: int, channels: int) -> NDArray[np.uint8]:
    """Black, white, and noise, uint8 [3, height, width, channels]: models are seldom sure of the same on all."""
    noise = np.random.default_rng(_SEED).integers(0, 256, (height, width, channels), np.uint8)
    return np.stack([np.zeros_like(noise), np.full_like(noise, 255), noise])


def prepared(images: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """RGB images in the colour order and the scale that a model takes."""
    ordered = images[..., ::-1] if preprocessing.color == "bgr" else images
    mean, std = (np.asarray(preprocessing.mean or 0.0), np.asarray(preprocessing.std or 1.0))
    return ((ordered - mean) / std).astype(np.float32)
