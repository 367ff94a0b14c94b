"""Bringing to size: JPEGs decoded reduced stay close to exact resizing, whatever their size, fit and orientation."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service import scaling
from service.images import ImageLimits, open_image, prepare_image
from service.repository import ServedModel

LIMITS = ImageLimits()


def model(width: int, height: int, **changes: Any) -> ServedModel:
    return ServedModel("m", "1", Path("m"), Path("m/model.keras"), width, height, ("a",), **changes)


def detailed(width: int, height: int) -> Image.Image:
    """A picture with detail at every scale, most of it coarse, as in photographs."""
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, 3), np.float32)
    for cells in (3, 9, 27, 81, 243):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC), np.float32) / cells**0.7
    return Image.fromarray((total * (255 / total.max())).astype(np.uint8))


def jpeg(image: Image.Image, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, exif=exif)
    return buffer.getvalue()


def prepared(data: bytes, served: ServedModel) -> np.ndarray:
    return np.asarray(prepare_image(open_image(data, LIMITS), served, LIMITS)).astype(int)


def exact(data: bytes, served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    with monkeypatch.context() as patch:
        patch.setattr("service.images.draft", lambda image, model, orientation: image.size)
        patch.setattr(scaling, "REDUCING_GAP", None)
        return prepared(data, served)


@pytest.mark.parametrize("size", [(640, 427), (1067, 801), (803, 1211)], ids=str)
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_jpeg_decoded_reduced_is_within_a_grey_level_of_exact_resizing(
    size: tuple[int, int], fit: str, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, served = jpeg(detailed(*size), orientation), model(96, 72, fit=fit)
    difference = np.abs(prepared(data, served) - exact(data, served, monkeypatch))
    assert difference.mean() < 1
    assert difference.max() < 16


@pytest.mark.parametrize(
    ("size", "served", "decoded"),
    [
        ((1600, 1200), model(100, 100), (200, 150)),
        ((1600, 1200), model(101, 101), (400, 300)),  # 150 rows are less than one and a half times 101
        ((1600, 400), model(100, 100), (800, 200)),
        ((1600, 400), model(100, 100, fit="pad"), (200, 50)),
        ((1600, 400), model(100, 100, fit="crop"), (800, 200)),
        ((1601, 1203), model(100, 100), (201, 151)),
        ((1600, 1200), model(100, 100, resize="nearest"), (1600, 1200)),
        ((1600, 1200), model(28, 28, steps=("digit",)), (1600, 1200)),
        ((4000, 3000), model(28, 28, steps=("digit",)), (2000, 1500)),
        ((640, 427), model(224, 224), (640, 427)),
    ],
)
def test_a_jpeg_is_decoded_at_the_smallest_size_that_is_enough(
    size: tuple[int, int], served: ServedModel, decoded: tuple[int, int]
) -> None:
    image = open_image(jpeg(Image.new("RGB", size)), LIMITS)
    extent = scaling.draft(image, served, 1)
    assert image.size == decoded
    assert extent == (size[0] * extent[0] / size[0], size[1] * extent[0] / size[0])  # the picture's own proportions
    assert all(0 <= whole - part < 1 for whole, part in zip(image.size, extent, strict=True))


def test_the_size_wanted_of_a_turned_jpeg_is_that_in_the_file() -> None:
    image = open_image(jpeg(Image.new("RGB", (1600, 400)), 6), LIMITS)
    scaling.draft(image, model(30, 120), 6)
    assert image.size == (200, 50)


def test_a_jpeg_for_a_grey_model_is_decoded_without_its_colours() -> None:
    image = open_image(jpeg(Image.new("RGB", (64, 64), "red")), LIMITS)
    scaling.draft(image, model(64, 64, color="grey"), 1)
    assert image.mode == "L"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_turning_the_small_picture_is_like_turning_the_large_one(orientation: int, fit: str) -> None:
    image, served = detailed(61, 40), model(24, 20, fit=fit)
    turned = scaling.upright(image, orientation)
    small = scaling.resize(image, image.size, served, orientation)
    assert small.size == (24, 20)
    expected = np.asarray(scaling.resize(turned, turned.size, served, 1)).astype(int)
    assert np.abs(np.asarray(small) - expected).max() <= 1


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_grey_picture_for_a_colour_model_is_that_of_three_equal_channels(fit: str) -> None:
    grey = detailed(50, 40).convert("L")
    buffers = [io.BytesIO(), io.BytesIO()]
    for image, buffer in zip((grey, grey.convert("RGB")), buffers, strict=True):
        image.save(buffer, "PNG")
    of_grey, of_colour = (prepared(buffer.getvalue(), model(20, 30, fit=fit)) for buffer in buffers)
    assert np.array_equal(of_grey, of_colour)
