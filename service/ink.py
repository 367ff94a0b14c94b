"""Ink: what was drawn in a picture, told from its paper, board, light, shadows and specks.

Planes are float32 [height, width]; contrast is in grey levels of 255, ink in shares of 0 to 1.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Value = TypeVar("Value", bound=np.generic)

FIT = 24  # samples along each side that the background is fitted to
FAINTEST = 8.0  # ink that differs less from its background (of 255) is none
WIDEST = 12  # half the width of the widest stroke that is told from an unsteady background
CORNERS = ((0, 0, -1, -1), (0, -1, 0, -1))
SMALLEST = 24  # pixels that a digit has at least in the overview
SPECK = 0.05  # a piece smaller than this share of the largest piece is a speck


def find_ink(image: Image.Image) -> Floats | None:
    """How much ink lies on each pixel: float32 [height, width] in 0..1, specks removed. None if there is none."""
    pixels = np.asarray(image, np.float32).reshape(image.height, image.width, -1)
    found = _separate(_contrast(pixels))
    if found is None or _lies_outside(found[0]):
        found = _separate(_local_contrast(pixels)) or found
    if found is None:
        return None
    mask, ink = found
    kept = _without_specks(mask)
    return np.where(grow(kept, 2), np.minimum(ink / ink[kept].mean(), 1.0), np.float32(0.0))


def _separate(contrast: Floats) -> tuple[Mask, Floats] | None:
    """Where ink is, and how much (0..1), by its contrast to the background. None if all of it may be noise."""
    # 30 % of a normal distribution lie within 0.385 σ of its middle.
    noise = float(np.percentile(np.abs(contrast), 30)) / 0.385
    positive = np.maximum(contrast, 0.0)
    threshold = _otsu(positive)
    mask = positive > threshold
    level = float(positive[mask].mean()) if mask.any() else 0.0
    if level < max(FAINTEST, 4.0 * noise):
        return None
    floor = min(0.4 * threshold, max(0.15 * level, 2.5 * noise))
    return mask, np.clip((positive - floor) / (level - floor), 0.0, 1.0)


def _lies_outside(mask: Mask) -> bool:
    """Whether the mask reaches the picture's rim as no digit alone does, but a shadow or a table beside the paper."""
    rim = np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return bool(mask[CORNERS].any()) or float(rim.mean()) > 0.08


def _contrast(pixels: Floats) -> Floats:
    """Difference of each pixel of [height, width, channels] from its background, positive for ink, in grey levels."""
    background = _background(pixels)
    residual = pixels - background
    if pixels.shape[2] == 1:
        signed = residual[:, :, 0]
    else:  # along the line in colour space from background to ink
        flat = residual.reshape(-1, pixels.shape[2])
        axis = np.linalg.eigh(flat.T @ flat)[1][:, -1]
        signed = residual @ (axis / np.abs(axis).sum()).astype(np.float32)
        if axis.sum() < 0:
            signed = -signed
    if float((signed**3).sum()) > 0:
        return signed
    # Ink darker than its paper takes away a share of the light, so that shade weakens the difference too.
    light = np.maximum(background.mean(axis=2), 16.0)
    return -signed * (light.max() / light)


def _local_contrast(pixels: Floats) -> Floats:
    """As `_contrast`, for a background with edges of its own, such as a hard shadow: by brightness alone.

    What strokes cover is filled from around them (morphological closing, or opening under light ink), which leaves
    the edges of broader areas where they are. The median of the surroundings tells whether ink is dark or light.
    """
    grey = pixels.mean(axis=2)
    stride = max(1, max(grey.shape) // 32)
    few = grey[::stride, ::stride]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(few, 5, mode="edge"), (11, 11))
    surroundings = _median(windows.reshape(*few.shape, -1).transpose(2, 0, 1))
    dark = float(((few - surroundings) ** 3).sum()) < 0
    sign = np.float32(1.0 if dark else -1.0)
    filled = -grow(-grow(sign * grey, WIDEST), WIDEST)
    contrast = filled - sign * grey
    if dark:
        contrast *= filled.max() / np.maximum(filled, 16.0)
    return contrast - np.median(contrast)


def _background(pixels: Floats) -> Floats:
    """A smooth background of [height, width, channels]: a quadratic surface fitted robustly, from the rim inwards.

    Neither what is ink nor whether it is darker is known yet. The rim is mostly background, so that its median is a
    start; from there each fit weighs pixels less the further they lie from the last surface (Geman-McClure weights),
    and gets more freedom: a plane, then a quadratic surface, first on the rim, then everywhere.
    """
    height, width, channels = pixels.shape
    rows = np.linspace(0, height - 1, min(height, FIT)).round().astype(np.intp)
    columns = np.linspace(0, width - 1, min(width, FIT)).round().astype(np.intp)
    samples = pixels[rows][:, columns].reshape(-1, channels)
    y, x = _coordinates(height), _coordinates(width)
    terms = _terms(y[rows], x[columns])
    ring = np.zeros((len(rows), len(columns)), bool)
    ring[:2] = ring[-2:] = ring[:, :2] = ring[:, -2:] = True
    rim = ring.reshape(-1)
    surface = _median(samples[rim])
    for degree, inside in ((3, False), (3, False), (6, False), (6, True), (6, True)):
        distance = np.abs(samples - surface).max(axis=1)
        spread = max(4.0, 2.0 * float(_median(distance[rim])))
        weights = (1.0 + (distance / spread) ** 2) ** -2.0
        if not inside:
            weights *= rim
        free = terms[:, :degree]
        weighted = (free * weights[:, None]).T
        ridge = np.full(degree, 1e-3 * float(weights.sum()) + 1e-6)  # slopes stay small where little is known
        ridge[0] = 1e-6
        coefficients = np.linalg.solve(weighted @ free + np.diag(ridge), weighted @ samples)
        surface = (free @ coefficients).astype(np.float32)
    constant, by_x, by_y, by_xx, by_xy, by_yy = coefficients.astype(np.float32)
    across, down = x[:, None], y[:, None]
    along = (constant + across * (by_x + across * by_xx))[None] + (down * (by_y + down * by_yy))[:, None]
    along += (down * by_xy)[:, None] * across[None]
    return np.clip(along, 0.0, 255.0, out=along)


def _coordinates(size: int) -> Floats:
    """-1..1 along a side of `size` pixels."""
    return np.arange(size, dtype=np.float32) * np.float32(2.0 / max(size - 1, 1)) - np.float32(1.0)


def _terms(y: Floats, x: Floats) -> Floats:
    """1, x, y, x², xy, y² at the crossings of rows and columns: [len(y) * len(x), 6]."""
    terms = np.empty((len(y), len(x), 6), np.float32)
    terms[..., 0] = 1.0
    terms[..., 1] = x
    terms[..., 2] = y[:, None]
    terms[..., 3] = x * x
    terms[..., 4] = y[:, None] * x
    terms[..., 5] = (y * y)[:, None]
    return terms.reshape(-1, 6)


def _median(values: Floats) -> Floats:
    """The upper median along the first axis (np.median takes longer than all else for so few values)."""
    middle = len(values) // 2
    return np.partition(values, middle, axis=0)[middle]


def _otsu(values: Floats) -> float:
    """The threshold that parts the values, all ≥ 0, into two classes of least variance within (Otsu 1979)."""
    top = float(values.max())
    if top <= 0:
        return 0.0
    counts = np.bincount((values * (127.0 / top)).astype(np.intp).reshape(-1), minlength=128).astype(np.float64)
    below = np.cumsum(counts)[:-1]
    mass = np.cumsum(counts * np.arange(128))
    total = below[-1] + counts[-1]
    between = (mass[-1] * below - mass[:-1] * total) ** 2 / np.maximum(below * (total - below), 1e-9)
    return (int(between.argmax()) + 1.0) * top / 127.0 - 1e-3


def _without_specks(mask: Mask) -> Mask:
    """The mask without pieces that are tiny beside the largest, nor, if others are left, those that fill a corner."""
    pieces = _pieces(mask)
    areas = np.bincount(pieces.reshape(-1))
    areas[0] = 0
    others = areas.copy()
    others[pieces[CORNERS]] = 0
    if others.max() >= SMALLEST:
        areas = others
    return (areas >= SPECK * areas.max())[pieces] & mask


def _pieces(mask: Mask) -> npt.NDArray[np.intp]:
    """A number for each pixel: 0 outside the mask, else the same within an 8-connected piece, unlike other pieces.

    Every pixel points to one of a higher or the same number in its piece; pixels take over what their neighbours
    point to, and pointers are shortened, so that a few rounds are enough however winding a stroke is.
    """
    padded = np.pad(mask, 1)
    stride = padded.shape[1]
    inside = np.flatnonzero(padded)
    parent = np.arange(padded.size)
    forward = [(inside[padded.reshape(-1)[inside + step]], step) for step in (1, stride - 1, stride, stride + 1)]
    first = np.concatenate([pixels for pixels, _ in forward])
    second = np.concatenate([pixels + step for pixels, step in forward])
    while True:
        roots, others = parent[first], parent[second]
        apart = roots != others
        if not apart.any():
            break
        first, second, roots, others = first[apart], second[apart], roots[apart], others[apart]
        np.maximum.at(parent, np.minimum(roots, others), np.maximum(roots, others))
        shorter = parent[parent]
        while not np.array_equal(shorter, parent):
            parent, shorter = shorter, shorter[shorter]
    return np.where(padded, parent.reshape(padded.shape), 0)[1:-1, 1:-1]


def grow(values: npt.NDArray[Value], radius: int) -> npt.NDArray[Value]:
    """Each pixel takes the greatest value within an octagon of `radius` pixels."""
    for step in range(radius):
        grown = values.copy()
        np.maximum(grown[:, 1:], values[:, :-1], out=grown[:, 1:])
        np.maximum(grown[:, :-1], values[:, 1:], out=grown[:, :-1])
        source = grown.copy() if step % 2 else values  # a square and a cross in turn
        np.maximum(grown[1:], source[:-1], out=grown[1:])
        np.maximum(grown[:-1], source[1:], out=grown[:-1])
        values = grown
    return values
