"""Training steps of four networks beside PyTorch, and Keras on TensorFlow.

All contestants begin with the same weights and get the same batches. Before anything is timed, the losses of the first
steps are compared, without dropout; then dropout is on.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.contestant import TORCH_ENVIRON, Contestant, ContestantError, Entry, installed, start_all
from tests.benchmarks.networks.files import folder_for, make
from tests.benchmarks.networks.keras_networks import DROPOUT, TRAINED
from tests.benchmarks.networks.shapes import (
    CHARACTERS,
    MNIST_CLASSES,
    MNIST_SIDE,
    STEPS,
    TRAINING_CLASSES,
    TRAINING_SIDE,
)
from tests.benchmarks.networks.weights import images
from tests.benchmarks.rounds import Figures, alternate, median, median_of_ratios, print_table, spread

WAYS = ("train_on_batch", "fit")
PEERS = ("torch", "keras")
COMPARED_STEPS = 5
LOSS_TOLERANCE = 1e-2  # of the loss, after so many steps of Adam, which turns the smallest gradients into full steps

_OURS = "Beagle"
_BEST = "the better of them"
_BATCH = {"resnet50": 16}
_BATCHES = {"resnet50": 6}  # in the data; of the small networks many, so that what an epoch costs counts as it would


def write_data(name: str, file: Path) -> None:
    """Random inputs of a network and labels for them."""
    rng = np.random.default_rng(3)
    rows = batch_size(name) * _BATCHES.get(name, 40)
    x: np.ndarray
    if name == "char_lstm":
        x, classes = rng.integers(0, CHARACTERS, (rows, STEPS), dtype=np.int32), CHARACTERS
    elif name == "resnet50":
        x, classes = images(rows, TRAINING_SIDE, 3), TRAINING_CLASSES
    else:
        x, classes = images(rows, MNIST_SIDE, 1), MNIST_CLASSES
        if name == "mlp":
            x = x.reshape(rows, -1)
    np.savez(file, x=x, y=rng.integers(0, classes, rows, dtype=np.int32))


def batch_size(name: str) -> int:
    """Rows a step."""
    return _BATCH.get(name, 128)


def entries(name: str, folder: Path, way: str, peers: Sequence[str]) -> list[Entry]:
    """The contestants for one network and way of training, ours first."""
    settings = {
        "network": name,
        "dropout": DROPOUT[name],
        "weights": str(folder / f"{name}.npz"),
        "data": str(folder / f"{name}-data.npz"),
        "batch": batch_size(name),
        "way": way,
    }
    program = "tests.benchmarks.contestants.keras_training"
    listed = [Entry(_OURS, program, {**settings, "library": "engine"})]
    if "torch" in peers:
        listed.append(Entry("PyTorch", "tests.benchmarks.contestants.torch_training", settings, TORCH_ENVIRON))
    if "keras" in peers:
        listed.append(Entry("Keras/TF", program, {**settings, "library": "keras"}, {"KERAS_BACKEND": "tensorflow"}))
    return listed


def compare_losses(contestants: Mapping[str, Contestant]) -> dict[str, float]:
    """How far the losses of each are from ours at most, as a share of ours.

    Raises:
        ContestantError: farther than rounding explains.
    """
    losses = {
        name: np.array(contestant.ask("losses", steps=COMPARED_STEPS)) for name, contestant in contestants.items()
    }
    ours = losses[_OURS]
    shares = {name: float(np.abs(theirs / ours - 1).max()) for name, theirs in losses.items()}
    for name, share in shares.items():
        if not share < LOSS_TOLERANCE:
            raise ContestantError(f"expected the losses {ours}, as ours are; {name} has {losses[name]}")
    return shares


def measure(listed: Sequence[Entry], rounds: int, seconds: float) -> tuple[dict[str, list[Figures]], dict[str, float]]:
    """Let the contestants take turns; their figures, and how far their losses are from ours."""
    with contextlib.ExitStack() as stack:
        contestants = start_all(stack, listed)
        shares = compare_losses(contestants)
        measured = alternate(
            rounds,
            {name: lambda one=contestant: one.block(seconds) for name, contestant in contestants.items()},  # type: ignore[misc]
        )
    for rounds_of_peers in zip(*(figures for name, figures in measured.items() if name != _OURS), strict=True):
        best = min(figures["ms"] for figures in rounds_of_peers)
        measured.setdefault(_BEST, []).append({"ms": best})
    return measured, shares


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks training", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="in which all take their turns (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn, about (default 2)")
    parser.add_argument("--models", nargs="+", choices=TRAINED, default=TRAINED)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--files", type=Path, help="folder in which the networks' files are kept (default: none is)")
    options = parser.parse_args(arguments)
    peers = installed(options.peers)
    judged = []
    with folder_for(options.files) as folder:
        for model in options.models:
            make("weights", model, folder, results=[f"{model}.npz"])
            write_data(model, folder / f"{model}-data.npz")
            for way in options.ways:
                measured, shares = measure(entries(model, folder, way, peers), options.rounds, options.seconds)
                rows = [
                    (
                        name,
                        median(figures, "ms"),
                        spread(figures, "ms"),
                        median_of_ratios(measured[_OURS], figures, "ms"),
                        f"{shares[name]:.1e}" if name in shares else "",
                    )
                    for name, figures in measured.items()
                ]
                title = f"{model}, batch {batch_size(model)}, {way}: medians of {options.rounds} rounds"
                print_table(title, ("", "ms a step", "lowest, highest", f"{_OURS} / it", "losses differ by"), rows)
                if _BEST in measured:
                    ratio = median_of_ratios(measured[_OURS], measured[_BEST], "ms")
                    judged.append((f"{model}, {way}", ratio, "<= 1"))
    if judged:
        print_table(f"{_OURS} / {_BEST}, median of the rounds' ratios", ("", "measured", "budget"), judged)
