"""How close bfloat16 and int8 sessions come to float32: on the shipped digits, on photographs, and on random weights.

Needs the folder of real data that the environment variable BEAGLE_TEST_DATA names; what is not there is left out.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import engine
from engine.datasets import mnist
from service.settings import DEFAULT_MODEL_REPOSITORY
from tests.benchmarks.contestant import difference
from tests.benchmarks.networks.files import folder_for, make
from tests.benchmarks.networks.shapes import IMAGE_SIDE
from tests.benchmarks.networks.weights import images
from tests.benchmarks.rounds import print_table
from tests.service.processes import ROOT

DATA = Path(os.environ.get("BEAGLE_TEST_DATA", ROOT.parent / "shared" / "data"))
MODELS = ("digits", "resnet8", "ResNet50")
PRECISIONS = ("bfloat16", "int8")
BATCH = 32

_CALIBRATION_IMAGES = 512
_CROPS = 4000
_SIDE = 32  # of ResNet-8's images
_RANDOM_IMAGES = 32

Rows = list[tuple[str, str, str]]


def outputs(session: engine.InferenceSession, x: NDArray[Any]) -> NDArray[np.float32]:
    """What a session returns for many rows."""
    parts = [session.run(x[start : start + BATCH]) for start in range(0, len(x), BATCH)]
    return np.concatenate(parts).astype(np.float32)


def sessions(
    model: Any, precisions: Sequence[str], calibration: NDArray[np.float32]
) -> Iterator[tuple[str, engine.InferenceSession]]:
    """A session in each precision that this machine has, by its name."""
    for precision in precisions:
        arrays = calibration if precision == "int8" else None
        session = engine.InferenceSession(model, (BATCH,), precision, arrays)
        if session.precision == precision:  # else the engine has said why not
            yield precision, session


def digits(precisions: Sequence[str]) -> Rows:
    """The shipped model on MNIST's test set; calibrated on training images."""
    (train, _), (test, labels) = mnist.load_data(DATA / "mnist")
    x = test[..., None].astype(np.float32)
    model = engine.models.load_model(str(DEFAULT_MODEL_REPOSITORY / "digits" / "1" / "model.keras"))
    calibration = train[:_CALIBRATION_IMAGES, ..., None].astype(np.float32)
    exact = 100 * np.mean(outputs(engine.InferenceSession(model, (BATCH,)), x).argmax(1) == labels)
    rows = []
    for precision, session in sessions(model, precisions, calibration):
        right = 100 * np.mean(outputs(session, x).argmax(1) == labels)
        what = f"digits in {precision}, {len(x)} test images: points lost of {exact:.2f}"
        rows.append((what, f"{exact - right:.2f}", "<= 0.1"))
    return rows


def crops(count: int, seed: int) -> NDArray[np.float32]:
    """Pieces of photographs in all sizes, some of them mirrored, shrunk to what ResNet-8 takes."""
    rng = np.random.default_rng(seed)
    photographs = [Image.open(file).convert("RGB") for file in sorted((DATA / "photos").iterdir())]
    made = np.empty((count, _SIDE, _SIDE, 3), np.float32)
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        side = int(rng.integers(_SIDE, min(photograph.size), endpoint=True))
        left, top = (int(rng.integers(0, length - side, endpoint=True)) for length in photograph.size)
        piece = photograph.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
        made[number] = np.asarray(piece)[:, :: rng.choice([-1, 1])]
    return made


def resnet8(precisions: Sequence[str]) -> Rows:
    """A network trained on CIFAR-10, on photographs: how often the best class is float32's."""
    model = engine.models.load_model(str(DATA / "keras" / "resnet8_cifar10.h5"))
    x = crops(_CROPS, seed=1)
    exact = outputs(engine.InferenceSession(model, (BATCH,)), x).argmax(1)
    rows = []
    for precision, session in sessions(model, precisions, crops(_CALIBRATION_IMAGES, seed=2)):
        same = 100 * np.mean(outputs(session, x).argmax(1) == exact)
        what = f"ResNet-8 in {precision}, {len(x)} crops of photographs: same best class, %"
        rows.append((what, f"{same:.2f}", ">= 98"))
    return rows


def resnet50(folder: Path, precisions: Sequence[str]) -> Rows:
    """Random weights with plausible statistics: the largest difference from float32, by the largest output."""
    make("weights", "ResNet50", folder, results=["ResNet50.keras", "images.npy"])
    model = engine.models.load_model(str(folder / "ResNet50.keras"))
    x = images(_RANDOM_IMAGES, IMAGE_SIDE, 3, seed=22)
    exact = outputs(engine.InferenceSession(model, (BATCH,)), x)
    rows = []
    for precision, session in sessions(model, precisions, np.load(folder / "images.npy")):
        share = 100 * difference(outputs(session, x), exact)
        what = f"ResNet50 in {precision}, random weights, {len(x)} images: difference, % of the largest output"
        rows.append((what, f"{share:.2f}", "<= 5"))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks accuracy", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--files", type=Path, help="folder in which ResNet50's files are kept (default: none is)")
    options = parser.parse_args(arguments)
    rows: Rows = []
    with folder_for(options.files) as folder:
        for model in options.models:
            if model != "ResNet50" and not DATA.is_dir():
                print(f"{model} is left out: there is no folder {DATA} (BEAGLE_TEST_DATA names another)")
            elif model == "digits":
                rows += digits(options.precisions)
            elif model == "resnet8":
                rows += resnet8(options.precisions)
            else:
                rows += resnet50(folder, options.precisions)
    print_table("Beside float32", ("", "measured", "budget"), rows)
