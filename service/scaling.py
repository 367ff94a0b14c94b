"""How a picture comes to a model's size: decoding at reduced size, taking a part, resizing, turning upright."""

from __future__ import annotations

import math

from PIL import Image

from service.repository import ServedModel

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# A JPEG is decoded to no less than this multiple of its size in the model's input. Its decoder averages well: against
# exact resizing photographs differ by a third to one grey level on average. At 1 it would be up to two and a half.
DRAFT_GAP = 1.5
# Any image is first shrunk by whole steps to no less than this multiple.
REDUCING_GAP = 2.0
# Steps look for something inside the picture, so that they get it at this size at least, where it has it.
STEP_SIDE = 1024

_TRANSPOSITION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNING = (5, 6, 7, 8)

Box = tuple[float, float, float, float]
Size = tuple[int, int]
Extent = tuple[float, float]
"""Width and height of a picture in its pixels; decoded reduced, it may cover its last column and row only in part."""


def draft(image: Image.Image, model: ServedModel, orientation: int) -> Extent:
    """Have an opened JPEG decoded at the smallest size that is enough for a model, and as L where that is all it needs.

    Args:
        orientation: EXIF's, 1 to 8.
    """
    if model.resize == "nearest":  # it takes single pixels: those of the file
        return image.size
    mode = "RGB" if model.channels == 3 or model.steps else "L"
    if model.steps:
        wanted = [max(STEP_SIDE, math.ceil(side * DRAFT_GAP)) for side in _target(model, orientation)]
    else:
        box, size = _frame(image.size, _target(model, orientation), model.fit)
        taken = (box[2] - box[0], box[3] - box[1])
        wanted = [math.ceil(image.size[i] / taken[i] * size[i] * DRAFT_GAP) for i in (0, 1)]
    drafted = image.draft(mode, (wanted[0], wanted[1]))
    return image.size if drafted is None else drafted[1][2:]


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return the picture as EXIF's `orientation` (1 to 8) says that it is to be seen."""
    transposition = _TRANSPOSITION.get(orientation)
    return image if transposition is None else image.transpose(transposition)


def resize(image: Image.Image, extent: Extent, model: ServedModel, orientation: int) -> Image.Image:
    """Return the picture upright at a model's size: stretched, cut or padded with black as the model says."""
    target = _target(model, orientation)
    if image.size == target:
        return upright(image, orientation)
    box, size = _frame(extent, target, model.fit)
    # Turned when it is small: that is the same picture for less.
    image = upright(image.resize(size, RESAMPLING[model.resize], box, REDUCING_GAP), orientation)
    if size == target:
        return image
    padded = Image.new(image.mode, (model.width, model.height))
    padded.paste(image, ((model.width - image.width) // 2, (model.height - image.height) // 2))
    return padded


def _target(model: ServedModel, orientation: int) -> Size:
    """The model's size, as it lies in a picture that has yet to be turned."""
    return (model.height, model.width) if orientation in _TURNING else (model.width, model.height)


def _frame(extent: Extent, target: Size, fit: str) -> tuple[Box, Size]:
    """The part of a picture that is taken, and the size to which it is brought; `pad` leaves room beside it."""
    width, height = extent
    if fit == "stretch":
        return (0, 0, width, height), target
    ratios = (target[0] / width, target[1] / height)
    if fit == "crop":
        scale = max(ratios)
        left, top = (width - target[0] / scale) / 2, (height - target[1] / scale) / 2
        return (max(0.0, left), max(0.0, top), min(width, width - left), min(height, height - top)), target
    scale = min(ratios)
    return (0, 0, width, height), (max(1, round(width * scale)), max(1, round(height * scale)))
