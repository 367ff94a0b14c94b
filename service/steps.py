"""The named steps that a model's `serving.toml` may ask for between decoding an image and resizing it.

A step takes a decoded `PIL.Image.Image` of any mode and returns another; it keeps no state and raises for no picture.
`digit` brings a photograph or drawing of one handwritten digit to the form of MNIST (LeCun, Cortes, Burges: a digit
scaled into 20×20, light on dark, its centre of mass in the middle of 28×28).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from service.ink import Floats, Mask, find_ink, grow

Step = Callable[[Image.Image], Image.Image]

CANVAS = 28  # MNIST: side of the image,
BOX = 20  # longer side of the digit in it,
CENTRE = 14.0  # and pixel index at which its centre of mass lies
BASE = 512  # longer side to which large images are reduced first
OVERVIEW = 96  # longer side of the view in which the digit is looked for
DETAIL = 72  # longer side of the digit while its strokes are worked on
ENOUGH = 60  # longer side of a digit that can be worked on as it was found
MARGIN = 0.2  # background kept around the digit in that view, as a share of its longer side
STROKE = (2.3, 4.4)  # stroke width in the 20×20 box that is left as it is, as in most of MNIST


def digit(image: Image.Image) -> Image.Image:
    """Bring a picture of one digit to MNIST's form.

    The digit may be dark on light or light on dark, coloured, anywhere in the picture, of any size and stroke width,
    unevenly lit, or drawn in the alpha channel. A 28×28 picture that already has MNIST's form keeps its pixels
    (inverted if it was dark on light).

    Args:
        image: any mode, any size.

    Returns:
        Mode "L", 28×28, light on dark; all black when no ink is found.
    """
    base = _reduce(image)
    finished = _already_normal(base)
    if finished is not None:
        return finished
    overview, scale = _fit(base, OVERVIEW / max(base.size))
    found = find_ink(overview)
    if found is None:
        return Image.new("L", (CANVAS, CANVAS))
    bounds = _bounds(found > 0)
    if scale < 1.0 and max(bounds[2] - bounds[0], bounds[3] - bounds[1]) < ENOUGH:
        view = _around(base, [edge / scale for edge in bounds])
        ink = find_ink(view)
    else:
        ink = np.asarray(_around(Image.fromarray(found), list(bounds)))
    return _place(_even_strokes(found if ink is None else np.clip(ink, 0.0, 1.0)))


STEPS: dict[str, Step] = {"digit": digit}


# --- from any picture to planes of grey or colour -----------------------------------------------------------------


def _reduce(image: Image.Image) -> Image.Image:
    """The picture as "L" or "RGB", its longer side at most BASE, an alpha channel resolved."""
    factor = math.ceil(max(image.size) / BASE)
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if image.mode in ("1", "P", "PA") or "transparency" in image.info:
        if factor > 4:  # Pillow averages no palette: pick pixels while four to a side remain to average
            image = image.resize([max(1, side * 4 // factor) for side in image.size], Image.Resampling.NEAREST)
            factor = 4
        image = image.convert("L" if image.mode == "1" else "RGBA")
    if factor > 1:
        image = image.reduce(factor)
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        return _resolve_alpha(image.convert("RGBA"))
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Integers of 16 or 32 bits or floats, their range spread over 8 bits."""
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(((values - low) * (255.0 / max(high - low, 1e-30))).astype(np.uint8))


def _resolve_alpha(image: Image.Image) -> Image.Image:
    """Ink drawn on nothing → the alpha channel; a picture cut out of nothing → its surroundings filled up."""
    alpha = image.getchannel("A")
    visible = np.asarray(alpha) >= 128
    if visible.all():
        return image.convert("RGB")
    if visible.any():
        left, top, right, bottom = _bounds(visible)
        grey = np.asarray(image.convert("L"))[visible]
        low, high = np.percentile(grey, (2, 98))
        if visible[top:bottom, left:right].mean() > 0.75 and high - low > 60:
            pixels = np.asarray(image.convert("RGB"))
            paper = Image.new("RGB", image.size, tuple(int(c) for c in np.median(pixels[visible], axis=0)))
            paper.paste(image, mask=alpha)
            return paper
    return alpha


def _already_normal(image: Image.Image) -> Image.Image | None:
    """The picture itself, light on dark, if it has MNIST's size, place and contrast already."""
    if image.size != (CANVAS, CANVAS):
        return None
    grey = np.asarray(image.convert("L"))
    rim = np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    if np.median(rim) > 127:
        grey, rim = 255 - grey, 255 - rim
    if np.median(rim) > 8 or grey.max() < 224 or np.count_nonzero(grey > 32) > 0.5 * grey.size:
        return None
    left, top, right, bottom = _bounds(grey > 32)
    across, down = _centre_of_mass(grey.astype(np.float32))
    off_centre = max(abs(across - CENTRE), abs(down - CENTRE))
    if not BOX - 3 <= max(right - left, bottom - top) <= BOX + 1 or off_centre > 1.0:
        return None
    return Image.fromarray(grey)


def _fit(image: Image.Image, scale: float) -> tuple[Image.Image, float]:
    """The picture scaled down (never up), and by how much."""
    scale = min(1.0, scale)
    size = [max(1, round(side * scale)) for side in image.size]
    return (image if scale == 1.0 else image.resize(size, Image.Resampling.BOX)), scale


def _around(image: Image.Image, bounds: list[float]) -> Image.Image:
    """The part of the picture around `bounds` (left, top, right, bottom), its longer side DETAIL plus margins."""
    left, top, right, bottom = bounds
    longer = max(right - left, bottom - top, 1.0)
    margin = MARGIN * longer
    box = (
        max(0.0, left - margin),
        max(0.0, top - margin),
        min(float(image.width), right + margin),
        min(float(image.height), bottom + margin),
    )
    scale = DETAIL / longer
    size = [max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale))]
    return image.resize(size, Image.Resampling.BICUBIC, box=box)


# --- strokes and placing ------------------------------------------------------------------------------------------


def _even_strokes(ink: Floats) -> Floats:
    """The ink with strokes far thinner or thicker than MNIST's brought to the near end of its range."""
    left, top, right, bottom = _bounds(ink > 0.5 * ink.max())
    longer = max(right - left, bottom - top)
    width = _stroke_width(ink)
    thinnest, thickest = (longer * share / BOX for share in STROKE)
    if width < thinnest:
        grown = round((thinnest - width) / 2 / (1 - STROKE[0] / BOX))
        return grow(np.pad(ink, grown), grown)
    if width > thickest:
        shrunk = round(min((width - thickest) / 2 / (1 - STROKE[1] / BOX), 0.4 * width))
        padded = np.pad(ink, shrunk + 1)
        core = 1.0 - grow(1.0 - padded, shrunk)
        # Where a stroke is thin already nothing of the core is left: it stays as it was.
        return np.maximum(core, padded - grow(core, shrunk + 1))
    return ink


def _stroke_width(ink: Floats) -> float:
    """Mean width of the strokes in pixels: twice their area over their outline (the total variation)."""
    down, across = np.gradient(np.pad(ink, 1))
    return 2.0 * float(ink.sum()) / max(float(np.hypot(down, across).sum()), 1e-6)


def _place(ink: Floats) -> Image.Image:
    """The ink scaled into BOX and laid with its centre of mass in the middle, as 8-bit levels up to 255."""
    left, top, right, bottom = _bounds(ink > 0.1 * ink.max())
    scale = BOX / max(right - left, bottom - top)
    size = [max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))]
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BOX, box=(left, top, right, bottom)))
    small = small / max(float(np.percentile(small[small > 0.25 * small.max()], 80)), 1e-6)
    small = np.clip(small, 0.0, 1.0)
    across, down = _centre_of_mass(small)
    x = min(max(round(CENTRE - across), 0), CANVAS - size[0])
    y = min(max(round(CENTRE - down), 0), CANVAS - size[1])
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    canvas[y : y + size[1], x : x + size[0]] = np.rint(small * 255.0)
    return Image.fromarray(canvas)


def _bounds(mask: Mask) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (the latter two exclusive) of what is set; something must be."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _centre_of_mass(values: Floats) -> tuple[float, float]:
    """Column and row of the centre of mass, in pixel indices; something must be positive."""
    across, down = values.sum(axis=0), values.sum(axis=1)
    total = float(across.sum())
    return float(across @ np.arange(len(across))) / total, float(down @ np.arange(len(down))) / total
