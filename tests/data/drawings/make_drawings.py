"""Draws the digits 0 to 9 in eight hands and several manners: the fixture of the `digit` step and the shipped model.

    python tests/data/drawings/make_drawings.py [FOLDER]     (default: the folder of this script)

Each file is named `<digit>_hand<n>_<manner>.<extension>`. Every hand has shapes, slant, width, roundness, wobble and
pen of its own, and draws each digit once; manners (size, colours, file format, photograph) go round, so that each
meets many digits. All is computed from fixed seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Points = npt.NDArray[np.float64]
# A stroke is a list of curves; the pen turns sharply where one ends and the next begins. A curve is a list of points
# (x to the right, y down, the digit's box being 0..1) that a smooth line goes through.
Stroke = list[list[tuple[float, float]]]

OVERSAMPLING = 3
STEPS_A_CURVE = 24


def ring(x: float, y: float, across: float, down: float, start: float = -90.0, turn: float = 370.0) -> Stroke:
    """An ellipse about (x, y), drawn anticlockwise from `start` degrees over `turn` degrees."""
    angles = np.radians(start - np.linspace(0.0, turn, 14))
    return [[(x + across * float(np.cos(a)), y + down * float(np.sin(a))) for a in angles]]


SHAPES: dict[str, list[Stroke]] = {
    "0 round": [ring(0.5, 0.5, 0.48, 0.5)],
    "0 narrow": [ring(0.5, 0.5, 0.34, 0.5, -80, 365)],
    "0 started right": [ring(0.5, 0.5, 0.42, 0.5, -50, 385)],
    "1 bar": [[[(0.5, 0.0), (0.5, 1.0)]]],
    "1 flag": [[[(0.22, 0.26), (0.56, 0.0)], [(0.56, 0.0), (0.56, 1.0)]]],
    "1 foot": [[[(0.25, 0.22), (0.52, 0.0)], [(0.52, 0.0), (0.52, 1.0)]], [[(0.2, 1.0), (0.84, 1.0)]]],
    "2 swan": [[[(0.06, 0.25), (0.25, 0.03), (0.62, 0.0), (0.86, 0.22), (0.7, 0.5), (0.3, 0.82), (0.04, 1.0)],
                [(0.04, 1.0), (0.5, 0.98), (0.98, 1.0)]]],
    "2 loop": [[[(0.1, 0.22), (0.32, 0.02), (0.68, 0.03), (0.82, 0.25), (0.66, 0.52), (0.36, 0.82), (0.16, 0.98),
                 (0.03, 0.9), (0.16, 0.77), (0.42, 0.86), (0.7, 0.98), (0.98, 0.88)]]],
    "2 angular": [[[(0.08, 0.12), (0.5, 0.0), (0.85, 0.12), (0.82, 0.38)], [(0.82, 0.38), (0.08, 1.0)],
                   [(0.08, 1.0), (0.94, 1.0)]]],
    "3 round": [[[(0.1, 0.12), (0.42, 0.0), (0.78, 0.1), (0.76, 0.36), (0.36, 0.47)],
                 [(0.36, 0.47), (0.78, 0.54), (0.88, 0.78), (0.56, 0.99), (0.2, 0.97), (0.04, 0.84)]]],
    "3 flat": [[[(0.08, 0.02), (0.84, 0.0)], [(0.84, 0.0), (0.4, 0.42)],
                [(0.4, 0.42), (0.78, 0.5), (0.88, 0.74), (0.62, 0.98), (0.25, 0.98), (0.04, 0.84)]]],
    "4 open": [[[(0.28, 0.0), (0.2, 0.3), (0.08, 0.58)], [(0.08, 0.58), (0.95, 0.56)]],
               [[(0.72, 0.22), (0.68, 0.6), (0.66, 1.0)]]],
    "4 closed": [[[(0.66, 0.0), (0.03, 0.68)], [(0.03, 0.68), (0.98, 0.68)]], [[(0.66, 0.0), (0.66, 1.0)]]],
    "5 flag": [[[(0.2, 0.02), (0.16, 0.43)],
                [(0.16, 0.43), (0.5, 0.36), (0.84, 0.5), (0.86, 0.78), (0.55, 0.99), (0.22, 0.98), (0.04, 0.86)]],
               [[(0.19, 0.02), (0.88, 0.0)]]],
    "5 single": [[[(0.9, 0.0), (0.24, 0.03)], [(0.24, 0.03), (0.14, 0.45)],
                  [(0.14, 0.45), (0.52, 0.38), (0.86, 0.55), (0.8, 0.86), (0.46, 1.0), (0.04, 0.92)]]],
    "6 curl": [[[(0.76, 0.02), (0.42, 0.14), (0.16, 0.46), (0.1, 0.76), (0.34, 0.99), (0.7, 0.96), (0.86, 0.74),
                 (0.68, 0.53), (0.36, 0.55), (0.14, 0.76)]]],
    "6 straight": [[[(0.62, 0.0), (0.32, 0.36), (0.14, 0.7), (0.28, 0.98), (0.66, 0.98), (0.82, 0.78), (0.66, 0.58),
                     (0.34, 0.62), (0.18, 0.82)]]],
    "7 plain": [[[(0.05, 0.03), (0.9, 0.0)], [(0.9, 0.0), (0.6, 0.42), (0.42, 1.0)]]],
    "7 bar": [[[(0.05, 0.02), (0.92, 0.0)], [(0.92, 0.0), (0.58, 0.5), (0.4, 1.0)]], [[(0.24, 0.53), (0.86, 0.49)]]],
    "7 serif": [[[(0.08, 0.17), (0.1, 0.02)], [(0.1, 0.02), (0.9, 0.0)], [(0.9, 0.0), (0.56, 0.48), (0.48, 1.0)]]],
    "8 single": [[[(0.76, 0.16), (0.48, 0.0), (0.18, 0.13), (0.26, 0.38), (0.6, 0.52), (0.86, 0.76), (0.56, 0.99),
                   (0.2, 0.93), (0.16, 0.7), (0.46, 0.48), (0.76, 0.3), (0.77, 0.14)]]],
    "8 rings": [ring(0.5, 0.24, 0.31, 0.24), ring(0.5, 0.74, 0.4, 0.26)],
    "9 straight": [[[(0.8, 0.2), (0.5, 0.0), (0.14, 0.16), (0.16, 0.44), (0.48, 0.53), (0.78, 0.36), (0.84, 0.08)],
                    [(0.84, 0.08), (0.8, 0.5), (0.74, 1.0)]]],
    "9 hook": [[[(0.8, 0.22), (0.54, 0.01), (0.2, 0.12), (0.16, 0.4), (0.46, 0.52), (0.76, 0.36), (0.82, 0.14)],
                [(0.82, 0.14), (0.84, 0.6), (0.68, 0.92), (0.38, 1.0), (0.14, 0.88)]]],
}  # fmt: skip


@dataclass(frozen=True)
class Hand:
    """How one person writes: the shape of each digit, the geometry, and the pen."""

    shapes: tuple[str, ...]
    slant: float = 0.0  # x gained per unit of height: positive leans to the right
    width: float = 0.65  # width of the digit's box, its height being 1
    wobble: float = 0.012  # standard deviation by which points are off
    pressure: float = 0.0  # share by which the pen gets thinner along a stroke
    nib: float = 0.0  # 0: round pen; 1: flat nib, thin along the rising diagonal
    tilt: float = 0.0  # degrees by which the base line rises
    pen: float = 0.085  # width of the stroke, the digit's height being 1
    seed: int = 0
    by_digit: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_digit", {int(shape[0]): shape for shape in self.shapes})


def hand(text: str, **style: float) -> Hand:
    """A hand from the shapes of its digits in order, without the digits themselves."""
    names = text.split(", ")
    return Hand(tuple(f"{digit} {name}" for digit, name in enumerate(names)), **style)  # type: ignore[arg-type]


HANDS = (
    hand("round, bar, swan, round, open, flag, curl, plain, single, straight", seed=1),
    hand("narrow, flag, loop, round, closed, single, curl, bar, single, hook", slant=0.2, width=0.6, seed=2),
    hand("started right, foot, angular, flat, closed, flag, straight, serif, rings, straight",
         width=0.74, wobble=0.006, pen=0.11, seed=3),
    hand("round, flag, swan, flat, open, single, straight, bar, rings, hook",
         slant=-0.1, width=0.7, wobble=0.02, pressure=0.4, seed=4),
    hand("narrow, bar, loop, round, open, flag, curl, serif, single, straight",
         slant=0.3, width=0.56, wobble=0.015, pen=0.06, tilt=4, seed=5),
    hand("started right, foot, swan, flat, closed, flag, curl, bar, rings, hook",
         width=0.85, nib=0.5, wobble=0.01, pen=0.12, seed=6),
    hand("round, flag, angular, round, closed, single, straight, plain, single, straight",
         slant=0.1, width=0.62, wobble=0.025, pressure=0.25, pen=0.07, tilt=-5, seed=7),
    hand("narrow, foot, loop, flat, open, flag, straight, bar, rings, hook",
         slant=0.05, width=0.66, wobble=0.016, nib=0.35, pen=0.1, seed=8),
)  # fmt: skip


def smooth(points: list[tuple[float, float]] | Points) -> Points:
    """A Catmull-Rom curve through the points: [n, 2]."""
    knots = np.asarray(points, np.float64)
    knots = np.concatenate((2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]))
    before, start, end, after = knots[:-3, None], knots[1:-2, None], knots[2:-1, None], knots[3:, None]
    t = np.linspace(0.0, 1.0, STEPS_A_CURVE)[None, :, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return curve.reshape(-1, 2)


def written(style: Hand, digit: int, random: np.random.Generator) -> list[Points]:
    """The pen's way for each stroke of a digit, its height being about 1: arrays [n, 2]."""
    turn = np.radians(-style.tilt)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    strokes = []
    for stroke in SHAPES[style.by_digit[digit]]:
        moved: list[Points] = []
        for curve in stroke:
            points = np.asarray(curve) + random.normal(0.0, style.wobble, (len(curve), 2))
            if moved:
                points[0] = moved[-1][-1]  # sharp turns stay joined
            moved.append(points)
        way = np.concatenate([smooth(points) for points in moved])
        way = (way - 0.5) * (style.width, 1.0)
        way[:, 0] -= style.slant * way[:, 1]
        strokes.append(way @ rotation)
    return strokes


def coverage(
    style: Hand,
    digit: int,
    size: tuple[int, int],
    height: float,
    at: tuple[float, float],
    pen: float | None = None,
) -> Image.Image:
    """The digit's ink as an "L" image of `size`: `height` pixels high, its middle at the share `at` of the image."""
    random = np.random.default_rng([style.seed, digit])
    scale = height * OVERSAMPLING
    plane = Image.new("L", (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING))
    draw = ImageDraw.Draw(plane)
    for way in written(style, digit, random):
        points = way * scale + np.array(at) * plane.size
        angle = np.arctan2(np.gradient(points[:, 1]), np.gradient(points[:, 0]))
        thickness = (1.0 - style.pressure * np.linspace(0.0, 1.0, len(points))) * (
            1.0 - style.nib * np.abs(np.cos(angle + np.pi / 4))
        )
        radii = np.maximum(0.5 * (pen or style.pen) * scale * thickness, 0.6 * OVERSAMPLING)
        for (x, y), radius in zip(points, radii, strict=True):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        for (x, y), (to_x, to_y), radius in zip(points[:-1], points[1:], radii[:-1], strict=True):
            draw.line((x, y, to_x, to_y), fill=255, width=max(1, round(2 * radius)))
    return plane.resize(size, Image.Resampling.BOX)


def inked(ink: Image.Image, paper: tuple[int, int, int], colour: tuple[int, int, int]) -> Image.Image:
    """Ink of one colour on paper of another."""
    image = Image.new("RGB", ink.size, paper)
    image.paste(colour, mask=ink)
    return image


def photographed(
    ink: Image.Image, random: np.random.Generator, shadow: bool, paper: float = 0.8, pen: float = 0.22
) -> Image.Image:
    """The ink on textured paper, seen a little askew, in uneven light, slightly out of focus, with sensor noise."""
    width, height = ink.size
    corners = np.array([(0, 0), (0, height), (width, height), (width, 0)], float)
    corners += random.uniform(-0.05, 0.05, (4, 2)) * (width, height)
    seen = ink.transform(ink.size, Image.Transform.QUAD, corners.reshape(-1).tolist(), Image.Resampling.BICUBIC)
    seen = seen.rotate(float(random.uniform(-7, 7)), Image.Resampling.BICUBIC)
    fibres = Image.fromarray(random.integers(0, 256, (height, width), dtype=np.uint8)).filter(ImageFilter.BoxBlur(2))
    texture = (np.asarray(fibres, float) - 127.5) / 255.0
    albedo = paper + 0.12 * texture - (paper - pen) * np.asarray(seen, float) / 255.0
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    towards = random.uniform(0, 2 * np.pi)
    light = 0.85 + 0.5 * ((x - 0.5) * np.cos(towards) + (y - 0.5) * np.sin(towards))
    if shadow:  # the edge of a hand or telephone held over the paper
        edge = (x - 0.42) * np.cos(towards + 1.2) + (y - 0.42) * np.sin(towards + 1.2)
        light *= 1.0 - 0.35 / (1.0 + np.exp(-edge / 0.03))
    blurred = Image.fromarray(np.clip(albedo * light * 255.0, 0, 255).astype(np.uint8))
    values = np.asarray(blurred.filter(ImageFilter.GaussianBlur(1.2)), float)[..., None] * (1.0, 0.97, 0.9)
    values += random.normal(0.0, 2.5, values.shape)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


Maker = Callable[[Hand, int, np.random.Generator], Image.Image]


def dark(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """Black on white, grey levels."""
    return inked(coverage(style, digit, (160, 200), 150, (0.5, 0.5)), (255,) * 3, (0,) * 3).convert("L")


def light(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """Chalk on a board: light on dark, neither white nor black."""
    return inked(coverage(style, digit, (240, 240), 130, (0.45, 0.55)), (34, 48, 42), (228, 230, 220))


def tiny(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """Twenty pixels square."""
    return inked(coverage(style, digit, (20, 20), 15, (0.5, 0.5), 0.11), (255,) * 3, (20,) * 3).convert("L")


def large(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """1200 pixels high."""
    return inked(coverage(style, digit, (1000, 1200), 900, (0.5, 0.5)), (255,) * 3, (10, 10, 10)).convert("L")


def hairline(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """A fine liner: strokes of about a hundredth of the height."""
    return inked(coverage(style, digit, (320, 320), 260, (0.5, 0.5), 0.012), (250,) * 3, (30,) * 3).convert("L")


def marker(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """A broad felt pen that fills much of the picture."""
    return inked(coverage(style, digit, (180, 190), 130, (0.5, 0.5), 0.2), (244, 244, 238), (25, 25, 30))


def corner(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """Small, in a corner of a large sheet."""
    at = (float(random.choice([0.14, 0.85])), float(random.choice([0.18, 0.8])))
    return inked(coverage(style, digit, (640, 480), 90, at), (255, 255, 255), (40, 40, 40)).convert("L")


def transparent(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """Black ink on nothing: all that there is to see lies in the alpha channel."""
    image = Image.new("RGBA", (200, 200))
    image.putalpha(coverage(style, digit, (200, 200), 140, (0.55, 0.5)))
    return image


def coloured(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """Coloured ink on coloured paper, some pairs of nearly the same lightness."""
    pairs = (
        ((255, 255, 255), (30, 60, 200)), ((255, 250, 200), (200, 30, 40)), ((200, 60, 60), (40, 130, 60)),
        ((40, 40, 120), (250, 200, 40)), ((255, 255, 255), (245, 190, 0)), ((90, 150, 90), (190, 100, 180)),
    )  # fmt: skip
    paper, colour = pairs[int(random.integers(len(pairs)))]
    return inked(coverage(style, digit, (150, 170), 120, (0.5, 0.48)), paper, colour)


def photo(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """A photograph of paper in slanting light."""
    return photographed(coverage(style, digit, (360, 300), 170, (0.52, 0.5)), random, shadow=False)


def shadow(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """A photograph of paper with a shadow across it."""
    return photographed(coverage(style, digit, (300, 360), 190, (0.5, 0.48)), random, shadow=True)


def blackboard(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """A photograph of chalk on a board."""
    return photographed(coverage(style, digit, (320, 280), 180, (0.5, 0.5)), random, False, paper=0.2, pen=0.8)


def specks(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """A poor scan: black and white, with dust."""
    ink = np.asarray(coverage(style, digit, (220, 260), 180, (0.5, 0.5))) > 127
    sheet = Image.fromarray(np.where(ink, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(sheet)
    for x, y in random.uniform(0, 1, (45, 2)) * (220, 260):
        radius = float(random.uniform(0.3, 1.8))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
    return sheet.convert("1")


def palette(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """Few colours."""
    return inked(coverage(style, digit, (130, 160), 120, (0.5, 0.5)), (240, 235, 210), (60, 20, 90)).quantize(16)


def deep(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """Sixteen bits, using a part of the range."""
    ink = np.asarray(coverage(style, digit, (120, 140), 105, (0.5, 0.5)), np.float64)
    return Image.fromarray((52000 - 38000 * ink / 255).astype(np.uint16))


def printed(style: Hand, digit: int, random: np.random.Generator) -> Image.Image:
    """In printer's inks."""
    return inked(coverage(style, digit, (170, 190), 140, (0.5, 0.5)), (255,) * 3, (20, 60, 110)).convert("CMYK")


MANNERS: tuple[tuple[Maker, str], ...] = (
    (dark, "png"), (photo, "jpg"), (transparent, "png"), (tiny, "png"), (coloured, "webp"), (light, "png"),
    (hairline, "png"), (shadow, "jpg"), (marker, "jpg"), (palette, "gif"), (corner, "png"), (deep, "png"),
    (blackboard, "jpg"), (large, "png"), (specks, "png"), (printed, "jpg"),
)  # fmt: skip


def make(folder: Path) -> list[Path]:
    """Draw all into the folder; returns the files."""
    files = []
    for number, style in enumerate(HANDS, start=1):
        for digit in range(10):
            manner, extension = MANNERS[(digit + 5 * (number - 1)) % len(MANNERS)]
            random = np.random.default_rng([number, digit, 1])
            file = folder / f"{digit}_hand{number}_{manner.__name__}.{extension}"
            options = {"quality": 72} if extension in ("jpg", "webp") else {"optimize": True}
            manner(style, digit, random).save(file, **options)
            files.append(file)
    return files


if __name__ == "__main__":
    made = make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
    print(f"{len(made)} files, {sum(file.stat().st_size for file in made):,} bytes")
