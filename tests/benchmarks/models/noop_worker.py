"""A worker process with a model that gives the same probabilities for whatever comes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.repository import ServedModel
from service.worker import main

SIDE = 28
LABELS = tuple("0123456789")
PROBABILITIES = (0.02, 0.01, 0.03, 0.005, 0.015, 0.04, 0.05, 0.8, 0.02, 0.01)
TOP = ("7", "6", "5", "2", "0")
"""The best five labels, best first."""
MAX_BATCH = 32

_SERVING = f"""
[input]
width = {SIDE}
height = {SIDE}
color = "grey"
[output]
labels = [{", ".join(f'"{label}"' for label in LABELS)}]
top_k = {len(TOP)}
[batching]
max_batch = {MAX_BATCH}
"""


class NoopSession:
    """Answers a row of fixed probabilities for each image."""

    def __init__(self) -> None:
        self._rows = np.tile(np.array(PROBABILITIES, np.float32), (MAX_BATCH, 1))

    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._rows[: len(x)]


def load(served: ServedModel) -> NoopSession:
    """In place of the engine."""
    return NoopSession()


def write_repository(folder: Path) -> Path:
    """Write a model repository whose only model is `noop`."""
    version = folder / "noop" / "1"
    version.mkdir(parents=True)
    (version / "serving.toml").write_text(_SERVING)
    return folder


if __name__ == "__main__":
    sys.exit(main(load=load))
