"""A worker process with a model that gives the same probabilities for whatever comes.

It costs nothing, or as many seconds an image as the variable NOOP_SECONDS says, in which the processor is free.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.repository import ServedModel
from service.worker import main
from tests.benchmarks.networks.shapes import IMAGE_SIDE
from tests.benchmarks.pictures import DIGIT_SIDE

SECONDS = "NOOP_SECONDS"
LABELS = tuple("0123456789")
PROBABILITIES = (0.02, 0.01, 0.03, 0.005, 0.015, 0.04, 0.05, 0.8, 0.02, 0.01)
TOP = ("7", "6", "5", "2", "0")
"""The best five labels, best first."""
MAX_BATCH = 32
INPUTS = {"digit": (DIGIT_SIDE, "grey"), "photo": (IMAGE_SIDE, "rgb")}
"""Side and colours of the model's input, by what is posted."""

_SERVING = """
[input]
width = {side}
height = {side}
color = "{color}"
[output]
labels = [{labels}]
top_k = {top_k}
[batching]
max_batch = {max_batch}
"""


class NoopSession:
    """Answers a row of fixed probabilities for each image, after some seconds for each."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._rows = np.tile(np.array(PROBABILITIES, np.float32), (MAX_BATCH, 1))

    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._seconds:
            time.sleep(self._seconds * len(x))
        return self._rows[: len(x)]


def load(served: ServedModel) -> NoopSession:
    """In place of the engine."""
    return NoopSession(float(os.environ.get(SECONDS, 0.0)))


def write_repository(folder: Path, posted: str = "digit") -> Path:
    """Write a model repository whose only model is `noop`; `posted` is one of INPUTS."""
    side, color = INPUTS[posted]
    version = folder / "noop" / "1"
    version.mkdir(parents=True)
    labels = ", ".join(f'"{label}"' for label in LABELS)
    text = _SERVING.format(side=side, color=color, labels=labels, top_k=len(TOP), max_batch=MAX_BATCH)
    (version / "serving.toml").write_text(text)
    return folder


if __name__ == "__main__":
    sys.exit(main(load=load))
