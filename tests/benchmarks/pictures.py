"""The images that clients post: a small PNG of one digit's size, and a photograph as a JPEG of about 190 KB."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

DIGIT_SIDE = 28
PHOTOGRAPH_SIZE = (640, 427)

_GRAIN = 17.0  # grey levels; with this quality it gives a file of about 190 KB
_QUALITY = 95


def digit(seed: int = 7) -> bytes:
    """A PNG file of 28x28 grey pixels that does not compress to nothing."""
    pixels = np.random.default_rng(seed).integers(0, 256, (DIGIT_SIDE, DIGIT_SIDE), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def photograph(seed: int = 99) -> bytes:
    """A JPEG file of 640x427 pixels with coarse and fine structure, and grain."""
    generator = np.random.default_rng(seed)
    width, height = PHOTOGRAPH_SIZE
    pixels = np.zeros((height, width, 3))
    for cells in (4, 16, 64, 256):
        coarse = Image.fromarray(generator.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels += np.asarray(coarse.resize(PHOTOGRAPH_SIZE, Image.Resampling.BICUBIC), float) / cells**0.5
    pixels *= 255 / pixels.max()
    pixels += generator.normal(0, _GRAIN, (height, width, 1))
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
