"""Augmentation of small greyscale images: random affine maps, elastic distortion, stroke width, contrast.

Everything is a function of the generator that is passed in, vectorised over the batch.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Ranges:
    """How far images are changed; each is drawn uniformly from -range to range.

    Attributes:
        rotation: degrees.
        shear: as the tangent of the angle.
        scale: relative, for height and width together.
        stretch: relative, height against width.
        shift: pixels.
        elastic: pixels that a point moves at most, on a 4×4 grid.
        thickness: share of images whose strokes are made wider, and as many thinner, by up to a pixel.
        contrast: exponent's range around 1.
    """

    rotation: float = 12.0
    shear: float = 0.22
    scale: float = 0.12
    stretch: float = 0.12
    shift: float = 1.8
    elastic: float = 0.9
    thickness: float = 0.2
    contrast: float = 0.3

    def scaled(self, factor: float) -> Ranges:
        """All ranges times `factor`."""
        return Ranges(*(factor * value for value in astuple(self)))


def augment(images: Array, generator: np.random.Generator, ranges: Ranges) -> Array:
    """Changed copies of `images` (n, height, width), float32 0..255, same shape."""
    images = _change_thickness(images.astype(np.float32), generator, ranges.thickness)
    images = _warp(images, _source_grid(images.shape, generator, ranges))
    exponent = 1 + generator.uniform(-ranges.contrast, ranges.contrast, (len(images), 1, 1)).astype(np.float32)
    return 255 * (images / 255) ** exponent


def _source_grid(shape: tuple[int, int, int], generator: np.random.Generator, ranges: Ranges) -> Array:
    """For each pixel of each image the (row, column) it is taken from, float32 (2, n, height, width)."""
    count, height, width = shape

    def draw(extent: float) -> Array:
        return generator.uniform(-extent, extent, count).astype(np.float32)

    angle = np.deg2rad(draw(ranges.rotation))
    scale, stretch = 1 + draw(ranges.scale), 1 + draw(ranges.stretch)
    shear = draw(ranges.shear)
    cosine, sine = np.cos(angle), np.sin(angle)
    rows = np.arange(height, dtype=np.float32) - (height - 1) / 2
    columns = np.arange(width, dtype=np.float32) - (width - 1) / 2
    row, column = np.meshgrid(rows, columns, indexing="ij")
    matrix = np.array(
        [
            [cosine / (scale * stretch), sine / scale],
            [(shear * cosine - sine) / (scale * stretch), (cosine + shear * sine) * stretch / scale],
        ]
    )
    source = np.einsum("abn,bhw->anhw", matrix, np.stack([row, column]), optimize=True)
    source[0] += draw(ranges.shift)[:, None, None] + (height - 1) / 2
    source[1] += draw(ranges.shift)[:, None, None] + (width - 1) / 2
    coarse = generator.uniform(-ranges.elastic, ranges.elastic, (2, count, 4, 4)).astype(np.float32)
    return source + _enlarge(coarse, height, width)


def _enlarge(coarse: Array, height: int, width: int) -> Array:
    """A smooth field of (…, height, width) through a coarse one, by cosine interpolation along both axes."""
    return np.einsum(
        "hi,anij,wj->anhw", _weights(height, coarse.shape[2]), coarse, _weights(width, coarse.shape[3]), optimize=True
    )


def _weights(length: int, knots: int) -> Array:
    position = np.linspace(0, knots - 1, length, dtype=np.float32)[:, None]
    distance = np.minimum(np.abs(position - np.arange(knots, dtype=np.float32)), 1)
    return (1 + np.cos(np.pi * distance)) / 2


def _warp(images: Array, source: Array) -> Array:
    """Bilinear interpolation at `source`; outside is black."""
    count, height, width = images.shape
    padded = np.zeros((count, height + 2, width + 2), np.float32)
    padded[:, 1:-1, 1:-1] = images
    row = np.clip(source[0] + 1, 0, height + 0.999)
    column = np.clip(source[1] + 1, 0, width + 0.999)
    top, left = row.astype(np.int32), column.astype(np.int32)
    down, right = row - top, column - left
    flat = padded.reshape(-1)
    index = (np.arange(count, dtype=np.int32)[:, None, None] * (height + 2) + top) * (width + 2) + left
    upper = flat[index] * (1 - right) + flat[index + 1] * right
    index += width + 2
    lower = flat[index] * (1 - right) + flat[index + 1] * right
    return upper * (1 - down) + lower * down


def _change_thickness(images: Array, generator: np.random.Generator, share: float) -> Array:
    """Makes the strokes of some images wider and of some thinner: a blend with their dilation or erosion."""
    choice = generator.uniform(0, 1, len(images))
    amount = generator.uniform(0.3, 1, len(images)).astype(np.float32)[:, None, None]
    images = images.copy()
    for chosen, extreme in ((choice < share, np.maximum), (choice > 1 - share, np.minimum)):
        part = images[chosen]
        shifted = part.copy()
        shifted[:, :, :-1] = extreme(part[:, :, :-1], part[:, :, 1:])
        result = shifted.copy()
        result[:, :-1] = extreme(shifted[:, :-1], shifted[:, 1:])
        images[chosen] = part + amount[chosen] * (result - part)
    return images
