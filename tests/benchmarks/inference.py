"""ResNet50, MobileNetV2 and VGG16 beside ONNX Runtime, OpenVINO, PyTorch, and Keras on TensorFlow.

All contestants have the same random weights (see `networks.weights`) and get the same images. Their outputs are
compared with our float32 before anything is timed.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.contestant import (
    TORCH_ENVIRON,
    Contestant,
    ContestantError,
    Entry,
    difference,
    installed,
    start_all,
)
from tests.benchmarks.networks.files import folder_for, make
from tests.benchmarks.networks.keras_networks import APPLICATIONS
from tests.benchmarks.networks.shapes import IMAGE_SIDE
from tests.benchmarks.networks.weights import images as random_images
from tests.benchmarks.rounds import Figures, alternate, median, median_of_ratios, print_table, spread

PRECISIONS = ("float32", "bfloat16", "int8")
PEERS = ("onnxruntime", "openvino", "torch", "keras")
FLOAT32_TOLERANCE = 1e-3  # of the largest output

OURS = "Beagle"
_SEED = 21  # other images than those on which int8 is calibrated
_PROGRAMS = "tests.benchmarks.contestants"


def name_of(contestant: str, precision: str) -> str:
    """What the table calls a contestant."""
    return f"{contestant} {precision}"


ONNX_RUNTIME = "ONNX Runtime"
# The model, ours, the peer, and the share of the peer's time that ours may take, by the project's plan.
BUDGETS = (
    ("ResNet50", "float32", name_of(ONNX_RUNTIME, "float32"), 1.03),
    ("ResNet50", "bfloat16", name_of(ONNX_RUNTIME, "float32"), 0.55),
    ("ResNet50", "int8", name_of(ONNX_RUNTIME, "float32"), 0.30),
    ("ResNet50", "int8", name_of(ONNX_RUNTIME, "int8"), 1.0),
    ("MobileNetV2", "float32", name_of(ONNX_RUNTIME, "float32"), 1.0),
)


def make_files(model: str, folder: Path, precisions: Sequence[str], peers: Sequence[str]) -> None:
    """Write what the contestants load."""
    make("weights", model, folder, results=[f"{model}.keras", f"{model}.npz", "images.npy"])
    if "int8" in precisions:
        make("calibration", model, folder, results=[f"{model}.calibration.json"])
    if {"onnxruntime", "openvino"} & set(peers):
        make("onnx_files", model, folder, results=[f"{model}.onnx", f"{model}-int8.onnx"])


def our_entries(model: str, batch: int, folder: Path, images: Path, precisions: Sequence[str]) -> list[Entry]:
    """Ours, in each precision."""
    listed = []
    for precision in precisions:
        settings = {
            "model": str(folder / f"{model}.keras"),
            "images": str(images),
            "calibration": str(folder / f"{model}.calibration.json") if precision == "int8" else None,
            "batch": batch,
            "precision": precision,
        }
        listed.append(Entry(name_of(OURS, precision), f"{_PROGRAMS}.beagle_inference", settings))
    return listed


def peer_entries(
    model: str, folder: Path, images: Path, precisions: Sequence[str], peers: Sequence[str]
) -> list[Entry]:
    """The peers, in the precisions that they have; `images` is the batch that they are made ready for."""
    listed = []
    onnx = {"float32": str(folder / f"{model}.onnx"), "int8": str(folder / f"{model}-int8.onnx")}
    if "onnxruntime" in peers:
        for precision in ("float32", "int8"):
            if precision in precisions:
                settings = {"model": onnx[precision], "images": str(images)}
                program = f"{_PROGRAMS}.onnxruntime_inference"
                listed.append(Entry(name_of(ONNX_RUNTIME, precision), program, settings))
    if "openvino" in peers:
        for precision, file, hint in (
            ("float32", onnx["float32"], "f32"),
            ("bfloat16", onnx["float32"], "bf16"),
            ("int8", onnx["int8"], "f32"),
        ):
            if precision in precisions:
                settings = {"model": file, "images": str(images), "precision": hint}
                listed.append(Entry(name_of("OpenVINO", precision), f"{_PROGRAMS}.openvino_inference", settings))
    if "torch" in peers:
        settings = {"network": model, "weights": str(folder / f"{model}.npz"), "images": str(images)}
        listed.append(Entry(name_of("PyTorch", "float32"), f"{_PROGRAMS}.torch_inference", settings, TORCH_ENVIRON))
    if "keras" in peers:
        settings = {"model": str(folder / f"{model}.keras"), "images": str(images)}
        environ = {"KERAS_BACKEND": "tensorflow"}
        listed.append(Entry(name_of("Keras/TF", "float32"), f"{_PROGRAMS}.keras_inference", settings, environ))
    return listed


@contextlib.contextmanager
def compared(listed: Sequence[Entry]) -> Iterator[tuple[dict[str, Contestant], dict[str, float]]]:
    """Start the contestants; how far their outputs are from the first one's. They end with the block.

    Raises:
        ContestantError: a contestant that computes in float32 gave other outputs.
    """
    with contextlib.ExitStack() as stack:
        contestants = start_all(stack, listed)
        outputs = {name: contestant.outputs() for name, contestant in contestants.items()}
        expected = next(iter(outputs.values()))
        differences = {name: difference(output, expected) for name, output in outputs.items()}
        for name, share in differences.items():
            if name.endswith("float32") and share > FLOAT32_TOLERANCE:
                first = next(iter(outputs))
                raise ContestantError(f"{name} differs from {first} by {share:.2g} of the largest output")
        yield contestants, differences


def take_turns(contestants: Mapping[str, Contestant], rounds: int, seconds: float) -> dict[str, list[Figures]]:
    """The contestants' figures of all rounds."""
    return alternate(
        rounds,
        {name: lambda one=contestant: one.block(seconds) for name, contestant in contestants.items()},  # type: ignore[misc]
    )


def measure(
    listed: Sequence[Entry], rounds: int, seconds: float, profile: bool
) -> tuple[dict[str, list[Figures]], dict[str, float]]:
    """Let the contestants take turns; their figures, and how far their outputs are from the first one's.

    Raises:
        ContestantError: a contestant that computes in float32 gave other outputs.
    """
    with compared(listed) as (contestants, differences):
        measured = take_turns(contestants, rounds, seconds)
        for name, contestant in contestants.items() if profile else ():
            if name.startswith(OURS):
                print(contestant.ask("profile"))
    return measured, differences


def print_figures(
    title: str, batch: int, measured: Mapping[str, list[Figures]], differences: Mapping[str, float]
) -> None:
    """Print a row for each contestant, with ours divided by it."""
    ours = [name for name in measured if name.startswith(OURS)]
    rows = [
        (
            name,
            median(figures, "ms"),
            spread(figures, "ms"),
            median(figures, "ms") / batch,
            *(median_of_ratios(measured[our], figures, "ms") for our in ours),
            f"{differences[name]:.1e}",
        )
        for name, figures in measured.items()
    ]
    header = ("", "ms", "lowest, highest", "ms an image", *(f"{our} / it" for our in ours), "difference")
    print_table(title, header, rows)


def judge(
    measured: Mapping[tuple[str, int], Mapping[str, list[Figures]]],
) -> list[tuple[str, float, str]]:
    """Rows of the project's budgets: what, measured, allowed."""
    rows = []
    for (model, batch), figures in measured.items():
        for budgeted, precision, peer, share in BUDGETS:
            our = name_of(OURS, precision)
            if budgeted == model and our in figures and peer in figures:
                what = f"{model}, batch {batch}: {our} / {peer}"
                rows.append((what, median_of_ratios(figures[our], figures[peer], "ms"), f"<= {share:g}"))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks inference", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="in which all take their turns (default 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a turn, about (default 1)")
    parser.add_argument("--models", nargs="+", choices=APPLICATIONS, default=APPLICATIONS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--profile", action="store_true", help="print our plans with the time of each step, too")
    parser.add_argument("--files", type=Path, help="folder in which the networks' files are kept (default: none is)")
    options = parser.parse_args(arguments)
    peers = installed(options.peers)
    measured: dict[tuple[str, int], dict[str, list[Figures]]] = {}
    with folder_for(options.files) as folder:
        for model in options.models:
            make_files(model, folder, options.precisions, peers)
            for batch in options.batches:
                images = folder / f"batch-{batch}.npy"
                np.save(images, random_images(batch, IMAGE_SIDE, 3, seed=_SEED))
                listed = our_entries(model, batch, folder, images, options.precisions)
                listed += peer_entries(model, folder, images, options.precisions, peers)
                figures, differences = measure(listed, options.rounds, options.seconds, options.profile)
                measured[model, batch] = figures
                print_figures(
                    f"{model}, batch {batch}, {IMAGE_SIDE} x {IMAGE_SIDE}: medians of {options.rounds} rounds",
                    batch,
                    figures,
                    differences,
                )
    judged = judge(measured)
    if judged:
        print_table("Median of the rounds' ratios", ("", "measured", "budget"), judged)
