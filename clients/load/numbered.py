"""Images that carry their number in the pixels, so that an answer for another image is seen.

28x28 pixels in shades of grey: 7x7 cells of 4x4 pixels, each black (0) or white (1). In reading order, 24 cells hold
the number, the most significant bit first, 8 its check byte, and the other 17 are white and black by turns.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

SIDE = 28
NUMBERS = 1 << 24
"""Numbers go from 0 to NUMBERS - 1."""

_CELLS = 7
_CELL_SIDE = 4
_FIXED_BITS = 17
_FIXED = 0b10101010101010101
_ROW_MASK = (1 << _CELLS) - 1
_SHIFTS = tuple(range((_CELLS - 1) * _CELLS, -1, -_CELLS))
_SHADE = (b"\x00" * _CELL_SIDE, b"\xff" * _CELL_SIDE)
_ROWS = tuple(
    b"".join(_SHADE[cells >> place & 1] for place in range(_CELLS - 1, -1, -1)) for cells in range(1 << _CELLS)
)
# A line of a PNG begins with its filter; 0 is none.
_PNG_ROWS = tuple((b"\x00" + row) * _CELL_SIDE for row in _ROWS)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return b"%b%b%b%b" % (
        len(content).to_bytes(4, "big"),
        kind,
        content,
        zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big"),
    )


_PNG_HEAD = b"\x89PNG\r\n\x1a\n" + _chunk(
    b"IHDR", SIDE.to_bytes(4, "big") + SIDE.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
)
_PNG_TAIL = _chunk(b"IEND", b"")


def label_of(number: int) -> str:
    """Return the label that a model of 1000 classes gives to this image: the number modulo 1000, in three digits."""
    return f"{number % 1000:03d}"


def encode(number: int) -> bytes:
    """Return the image of a number, 0 to NUMBERS - 1, as a PNG file.

    Raises:
        ValueError: there is no such number.
    """
    cells = _cells(number)
    lines = b"".join([_PNG_ROWS[cells >> shift & _ROW_MASK] for shift in _SHIFTS])
    return _PNG_HEAD + _chunk(b"IDAT", zlib.compress(lines, 1)) + _PNG_TAIL


def encode_jpeg(number: int, *, scale: int = 1, quality: int = 90) -> bytes:
    """Return the image of a number as a JPEG file of `28 * scale` pixels each way; reduced again it still decodes.

    Raises:
        ValueError: there is no such number, or the scale is below 1.
    """
    from PIL import Image  # only here: whoever sends PNG files needs no decoder

    if scale < 1:
        raise ValueError(f"expected a scale of 1 or more, got {scale}")
    cells = _cells(number)
    pixels = b"".join([_ROWS[cells >> shift & _ROW_MASK] * _CELL_SIDE for shift in _SHIFTS])
    image = Image.frombytes("L", (SIDE, SIDE), pixels)
    if scale > 1:
        image = image.resize((SIDE * scale, SIDE * scale), Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def decode(pixels: Sequence[int]) -> int | None:
    """Return the number of an image given as 784 shades of grey, 0 to 255, row by row; None where it holds none.

    Raises:
        ValueError: there are not 784 shades.
    """
    if len(pixels) != SIDE * SIDE:
        raise ValueError(f"expected {SIDE * SIDE} shades of grey, got {len(pixels)}")
    cells = 0
    for top in range(1, SIDE, _CELL_SIDE):  # the middle 2x2 pixels of each cell: its edges may be blurred
        for corner in range(top * SIDE + 1, (top + 1) * SIDE, _CELL_SIDE):
            below = corner + SIDE
            shade = pixels[corner] + pixels[corner + 1] + pixels[below] + pixels[below + 1]
            cells = cells << 1 | (shade > 4 * 127)
    number = cells >> (8 + _FIXED_BITS)
    return number if cells == _cells(number) else None


def _cells(number: int) -> int:
    """Return the 49 cells of a number as bits, the first cell's being the highest."""
    if not 0 <= number < NUMBERS:
        raise ValueError(f"expected a number from 0 to {NUMBERS - 1}, got {number}")
    check = (number ^ number >> 8 ^ number >> 16 ^ 0xA5) & 0xFF
    return (number << 8 | check) << _FIXED_BITS | _FIXED
