"""The named steps: `digit` brings any picture of a digit to MNIST's form and leaves MNIST's own pictures alone."""

from __future__ import annotations

import gzip
import importlib.util
import os
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from service.steps import STEPS, digit

ROOT = Path(__file__).resolve().parents[2]
DRAWINGS = ROOT / "tests" / "data" / "drawings"
MNIST = Path(os.environ.get("BEAGLE_TEST_DATA", ROOT.parent / "shared" / "data")) / "mnist"
FILES = sorted(file for file in DRAWINGS.iterdir() if file.suffix in {".png", ".jpg", ".gif", ".webp"})
Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def drawer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_drawings", DRAWINGS / "make_drawings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_drawings"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def seven(drawer: ModuleType) -> Image.Image:
    """The ink of a seven, white on black, 200×240, well clear of the rim."""
    return drawer.coverage(drawer.HANDS[1], 7, (200, 240), 150, (0.5, 0.5))


@pytest.fixture(scope="module")
def mnist() -> Bytes:
    file = MNIST / "t10k-images-idx3-ubyte.gz"
    if not file.exists():
        pytest.skip(f"MNIST is not there: {file}")
    return np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)


def pixels(image: Image.Image) -> npt.NDArray[np.float64]:
    return np.asarray(digit(image), np.float64)


def alike(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """The best correlation of two pictures over shifts by a pixel."""
    shifted = (np.roll(other, (down, across), (0, 1)) for down in (-1, 0, 1) for across in (-1, 0, 1))
    return max(float(np.corrcoef(one.ravel(), moved.ravel())[0, 1]) for moved in shifted)


def assert_normal(values: npt.NDArray[np.float64]) -> None:
    assert values.shape == (28, 28)
    assert values.max() >= 250
    rows, columns = np.flatnonzero((values > 0).any(1)), np.flatnonzero((values > 0).any(0))
    assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
    row, column = (np.average(np.arange(28), weights=values.sum(axis)) for axis in (1, 0))
    assert abs(row - 14) <= 1
    assert abs(column - 14) <= 1
    assert np.median(values) == 0


def test_the_step_is_found_by_its_name() -> None:
    assert STEPS["digit"] is digit


def test_every_picture_of_mnist_keeps_its_pixels(mnist: Bytes) -> None:
    changed = sum(not np.array_equal(np.asarray(digit(Image.fromarray(picture))), picture) for picture in mnist)
    assert changed == 0


def test_mnist_dark_on_light_is_only_inverted(mnist: Bytes) -> None:
    for picture in mnist[:200]:
        assert np.array_equal(np.asarray(digit(Image.fromarray(255 - picture).convert("RGB"))), picture)


def test_mnist_enlarged_and_moved_comes_back_much_as_it_was(mnist: Bytes) -> None:
    likeness = []
    for number, picture in enumerate(mnist[:60]):
        sheet = Image.new("L", (400, 300), 250)
        large = Image.fromarray(250 - (picture * 0.8).astype(np.uint8)).resize((140, 140), Image.Resampling.BICUBIC)
        sheet.paste(large, (17 * number % 260, 7 * number % 160))
        likeness.append(alike(pixels(sheet), picture.astype(np.float64)))
    assert np.median(likeness) > 0.97
    assert min(likeness) > 0.7  # very thin or thick strokes are evened


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_drawing_gets_mnists_form(file: Path) -> None:
    with Image.open(file) as image:
        assert_normal(pixels(image))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_drawing_looks_as_if_it_were_drawn_plainly(file: Path, drawer: ModuleType) -> None:
    label, hand, manner = file.stem.split("_")
    style = drawer.HANDS[int(hand.removeprefix("hand")) - 1]
    plain = pixels(drawer.dark(style, int(label), np.random.default_rng(0)))
    askew = manner in {"photo", "shadow", "blackboard"}  # seen in perspective and turned
    with Image.open(file) as image:
        assert alike(pixels(image), plain) > (0.45 if askew else 0.7)


def test_drawings_cover_every_digit_hand_and_manner(drawer: ModuleType) -> None:
    names = [file.stem.split("_") for file in FILES]
    assert {(digit_, hand) for digit_, hand, _ in names} == {
        (str(d), f"hand{h}") for d in range(10) for h in range(1, 9)
    }
    assert {manner for *_, manner in names} == {maker.__name__ for maker, _ in drawer.MANNERS}
    assert sum(file.stat().st_size for file in FILES) < 600_000


def test_the_script_draws_the_same_files_again(drawer: ModuleType, tmp_path: Path) -> None:
    made = drawer.make(tmp_path)
    assert sorted(file.name for file in made) == [file.name for file in FILES]
    for file in made:
        with Image.open(file) as image, Image.open(DRAWINGS / file.name) as kept:
            again, before = (np.asarray(each.convert("RGB"), np.float64) for each in (image, kept))
        assert np.abs(again - before).mean() < 2.0, file.name  # encoders may change from release to release


@pytest.mark.parametrize(
    "mode", ["L", "LA", "RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "I;16", "I", "F", "HSV", "LAB", "1"]
)
@pytest.mark.parametrize("inverted", [False, True], ids=["light", "dark"])
def test_every_mode_gives_the_same_digit(seven: Image.Image, mode: str, inverted: bool) -> None:
    plain = Image.eval(seven, lambda level: 255 - level) if inverted else seven
    if mode == "I;16":
        image = Image.fromarray(np.asarray(plain, np.uint16) * 200)
    elif mode == "F":
        image = Image.fromarray(np.asarray(plain, np.float32) / 255)
    elif mode == "LAB":
        image = Image.merge("LAB", (plain, Image.new("L", plain.size, 128), Image.new("L", plain.size, 128)))
    else:
        image = (plain if mode in {"L", "1", "LA", "PA", "I"} else plain.convert("RGB")).convert(mode)
    assert alike(pixels(image), pixels(seven)) > 0.93


def test_ink_in_the_alpha_channel_is_read_whatever_its_colour(seven: Image.Image) -> None:
    for colour in ("black", "white", "red"):
        image = Image.new("RGBA", seven.size, colour)
        image.putalpha(seven)
        assert alike(pixels(image), pixels(seven)) > 0.97


def test_a_card_cut_out_of_nothing_is_read_by_its_ink(seven: Image.Image) -> None:
    card = Image.eval(seven, lambda level: 255 - level).convert("RGBA")
    image = Image.new("RGBA", (300, 300))
    image.paste(card, (60, 30))
    assert alike(pixels(image), pixels(seven)) > 0.95


def test_transparency_of_a_palette_is_ink_on_nothing(seven: Image.Image) -> None:
    image = seven.point(lambda level: 255 * (level > 127)).convert("P")
    image.info["transparency"] = 0
    assert alike(pixels(image), pixels(seven)) > 0.93


@pytest.mark.parametrize("size", [18, 40, 400, 3000])
def test_the_size_of_the_picture_does_not_matter(seven: Image.Image, size: int) -> None:
    image = seven.resize((size, size * 6 // 5), Image.Resampling.LANCZOS, reducing_gap=3.0)
    assert alike(pixels(image), pixels(seven)) > 0.9


def test_thin_and_thick_strokes_come_near_mnists(drawer: ModuleType) -> None:
    bar = {}
    for pen in (0.012, 0.08, 0.3):
        ink = drawer.coverage(drawer.HANDS[0], 1, (200, 240), 150, (0.5, 0.5), pen)
        bar[pen] = float((pixels(ink)[10:18] / 255).sum(axis=1).mean())
    assert 1.7 < bar[0.012] < 3.0
    assert bar[0.012] <= bar[0.08] <= bar[0.3]
    assert bar[0.3] < 5.2


def test_a_shadow_and_a_table_beside_the_paper_are_no_ink(seven: Image.Image) -> None:
    sheet = 1.0 - 0.7 * np.asarray(seven, np.float64) / 255
    shaded = sheet.copy()
    shaded[np.tri(240, 200, 10, dtype=bool)] *= 0.5
    table = np.full((280, 260), 0.25)
    table[:240, 40:240] = sheet
    for scene in (shaded, table):
        assert alike(pixels(Image.fromarray((scene * 230).astype(np.uint8))), pixels(seven)) > 0.85


def test_specks_are_no_ink(seven: Image.Image) -> None:
    values = np.array(seven)
    values[5:9, 5:9] = values[230:234, 190:194] = 255
    assert alike(pixels(Image.fromarray(values)), pixels(seven)) > 0.99


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "CMYK", "I;16", "I", "F"])
def test_a_picture_of_nothing_gives_nothing(mode: str) -> None:
    for size in ((28, 28), (1, 1), (1, 700), (640, 2)):
        assert not pixels(Image.new(mode, size)).any()


def test_noise_and_paper_without_ink_give_nothing() -> None:
    random = np.random.default_rng(3)
    paper = 180 + 40 * np.linspace(-1, 1, 200)[:, None] + random.normal(0, 5, (200, 200))
    assert not pixels(Image.fromarray(np.clip(paper, 0, 255).astype(np.uint8))).any()


def test_odd_pictures_never_raise() -> None:
    random = np.random.default_rng(5)
    for width, height in ((1, 1), (2, 1), (1, 9), (3, 3), (5000, 3), (2, 3000), (28, 28), (97, 13)):
        for mode in ("L", "RGB", "RGBA"):
            values = random.integers(0, 256, (height, width, len(mode)), dtype=np.uint8).squeeze(
                -1 if mode == "L" else ()
            )
            result = digit(Image.fromarray(values, None))
            assert result.size == (28, 28)
            assert result.mode == "L"


def test_the_picture_that_is_given_stays_as_it_is(seven: Image.Image) -> None:
    before = seven.tobytes()
    digit(seven)
    assert seven.tobytes() == before


@pytest.mark.alone
def test_a_photograph_of_a_megapixel_takes_milliseconds(seven: Image.Image) -> None:
    photo = Image.eval(seven, lambda level: 255 - level).convert("RGB").resize((1000, 1000))
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        digit(photo)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.06  # about 6 ms on an idle core
