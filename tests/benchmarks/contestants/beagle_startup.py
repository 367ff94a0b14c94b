"""A process as a worker's is: it loads a model's file, makes a session of it, and runs batches of all sizes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tests.benchmarks.contestants.answering import Prepared, UnavailableError, answer, resident_megabytes


class Worker(Prepared):
    """A session of a model's file.

    Args:
        model: the `.keras` file.
        batches: the sizes that plans are built for.
        precision: of the session.
        calibration: a file, for int8.
    """

    def __init__(self, model: str, batches: list[int], precision: str, calibration: str | None) -> None:
        super().__init__()
        moments = [time.perf_counter()]
        from engine import InferenceSession, models  # here, since the time that it takes is measured

        moments.append(time.perf_counter())
        network = models.load_model(model)
        moments.append(time.perf_counter())
        self._session = InferenceSession(network, tuple(batches), precision, calibration)
        if self._session.precision != precision:
            raise UnavailableError(f"{precision} runs as {self._session.precision} here")
        moments.append(time.perf_counter())
        shape = network.inputs[0].shape[1:]
        self._rows = np.random.default_rng(0).normal(size=(max(batches), *shape)).astype(np.float32)
        names = ("importing", "loading the file", "building the session")
        self._seconds = dict(zip(names, np.diff(moments).tolist(), strict=True))

    def seconds(self) -> dict[str, float]:
        """What the time to readiness went into."""
        return self._seconds

    def memory_over(self, runs: int, samples: int) -> list[float]:
        """Resident memory (MB) after each of so many equal shares of the runs, whose sizes change all the time."""
        sizes = np.random.default_rng(1).integers(1, len(self._rows), runs, endpoint=True)
        memory = []
        for share in np.array_split(sizes, samples):
            for size in share:
                self._session.run(self._rows[:size])
            memory.append(resident_megabytes())
        return memory

    def run(self) -> Any:
        return self._session.run(self._rows)


if __name__ == "__main__":
    answer(Worker)
