"""Numbered images: what goes in comes out, after JPEG and resizing too; what is damaged gives no number."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clients.load import NumberedPictures, numbered

numbers = st.integers(0, numbered.NUMBERS - 1)


def pixels(image: bytes) -> bytes:
    """Decode an image to 28x28 shades of grey."""
    return Image.open(io.BytesIO(image)).convert("L").resize((numbered.SIDE, numbered.SIDE)).tobytes()


@given(numbers)
def test_a_png_gives_its_number_back(number: int) -> None:
    image = Image.open(io.BytesIO(numbered.encode(number)))
    assert (image.mode, image.size) == ("L", (28, 28))
    assert numbered.decode(image.tobytes()) == number


@given(numbers, st.integers(1, 10), st.integers(40, 95))
def test_a_jpeg_of_any_scale_gives_its_number_back(number: int, scale: int, quality: int) -> None:
    image = numbered.encode_jpeg(number, scale=scale, quality=quality)
    assert Image.open(io.BytesIO(image)).size == (28 * scale, 28 * scale)
    assert numbered.decode(pixels(image)) == number


@given(numbers, st.integers(0, 48))
def test_one_cell_turned_over_is_seen(number: int, cell: int) -> None:
    shades = bytearray(pixels(numbered.encode(number)))
    top, left = cell // 7 * 4, cell % 7 * 4
    for row in range(top, top + 4):
        for column in range(left, left + 4):
            shades[row * 28 + column] ^= 0xFF
    assert numbered.decode(shades) is None


@pytest.mark.parametrize("shade", [0, 127, 128, 255])
def test_an_even_image_has_no_number(shade: int) -> None:
    assert numbered.decode(bytes([shade]) * 784) is None


def test_pictures_take_numbers_in_turns() -> None:
    pictures = NumberedPictures(first=998, count=3, encode=numbered.encode_jpeg)
    taken = [pictures.take() for _ in range(4)]
    assert [(picture.name, picture.label) for picture in taken] == [
        (998, "998"),
        (999, "999"),
        (1000, "000"),
        (998, "998"),
    ]
    assert [numbered.decode(pixels(picture.content)) for picture in taken] == [998, 999, 1000, 998]
    for first, count in ((-1, 5), (0, 0), (numbered.NUMBERS - 1, 2)):
        with pytest.raises(ValueError, match="expected numbers from 0"):
            NumberedPictures(first, count)


def test_labels_are_the_last_three_digits() -> None:
    assert [numbered.label_of(number) for number in (0, 7, 999, 1000, 12345)] == ["000", "007", "999", "000", "345"]


def test_what_cannot_be_is_refused() -> None:
    for number in (-1, numbered.NUMBERS):
        with pytest.raises(ValueError, match="expected a number from 0"):
            numbered.encode(number)
    with pytest.raises(ValueError, match="expected a scale"):
        numbered.encode_jpeg(1, scale=0)
    with pytest.raises(ValueError, match="expected 784 shades"):
        numbered.decode(b"\0" * 783)
