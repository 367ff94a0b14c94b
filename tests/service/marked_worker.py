"""A worker process whose model does what the first pixel of an image says.

The model takes 2x2 grey images. A first pixel of 0 to 9 is the class; the markers below make the model fail on
the batch that holds them, answer no number, hang with and without the interpreter lock, or end the process.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.repository import ServedModel
from service.worker import main

CRASHES, HANGS_LOCKED, RAISES, HANGS, EXITS, NOT_FINITE = range(248, 254)
CLASSES = 10
SECONDS = "MARKED_WORKER_SECONDS"  # that a batch takes
CERTAINTY = 0.5
EXIT_STATUS = 9

SERVING = """
[input]
width = 2
height = 2
color = "grey"
[output]
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
top_k = 3
[batching]
max_batch = {max_batch}
deadline_s = 20.0
compute_limit_s = {compute_limit_s}
"""


class MarkedSession:
    """Obeys the first pixel of each image."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[int] = []

    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        markers = x[:, 0, 0, 0].astype(int)
        self.batches.append(len(markers))
        if RAISES in markers:
            raise ArithmeticError("an image broke the model")
        if HANGS in markers:
            threading.Event().wait()
        if HANGS_LOCKED in markers:
            ctypes.PyDLL(None).sleep(600)  # PyDLL keeps the lock while it calls
        if CRASHES in markers:
            ctypes.string_at(0)
        if EXITS in markers:
            os._exit(EXIT_STATUS)
        if self.seconds:
            time.sleep(self.seconds)
        y = np.full((len(x), CLASSES), (1 - CERTAINTY) / (CLASSES - 1), np.float32)
        y[np.arange(len(x)), markers % CLASSES] = CERTAINTY
        y[markers == NOT_FINITE] = np.nan
        return y


def write_repository(folder: Path, *names: str, max_batch: int = 32, compute_limit_s: float = 10.0) -> Path:
    """Write a repository of models that `load` can load, without files of weights."""
    for name in names:
        version = folder / name / "1"
        version.mkdir(parents=True)
        serving = SERVING.format(max_batch=max_batch, compute_limit_s=compute_limit_s)
        (version / "serving.toml").write_text(serving)
    return folder


def load(served: ServedModel) -> MarkedSession:
    """In place of the engine."""
    return MarkedSession(float(os.environ.get(SECONDS, "0")))


if __name__ == "__main__":
    sys.exit(main(load=load))
