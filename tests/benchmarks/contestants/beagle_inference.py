"""Our engine: an `InferenceSession` of a `.keras` or `.onnx` file."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from engine import InferenceSession, models
from tests.benchmarks.contestants.answering import Prepared, UnavailableError, answer


class Session(Prepared):
    """A session for one batch size."""

    def __init__(self, model: str, images: str, calibration: str | None, batch: int, precision: str) -> None:
        super().__init__()
        handler = _Notes(self.notes)
        logging.getLogger("engine").addHandler(handler)
        self._images = np.load(images)
        network = models.load_model(model)
        if network.inputs[0].shape[-1] != self._images.shape[-1]:  # an ONNX file may want channels first
            self._images = np.ascontiguousarray(self._images.transpose(0, 3, 1, 2))
        self._session = InferenceSession(network, (batch,), precision, calibration)
        if self._session.precision != precision:
            raise UnavailableError(f"{precision} runs as {self._session.precision} here")

    def run(self) -> Any:
        return self._session.run(self._images)

    def profile(self) -> str:
        """The plan as a table, with each step's time."""
        texts: list[str] = []
        self._session.describe(profile=True, print_fn=texts.append)
        return "\n".join(texts)

    def inner_transposes(self) -> int:
        """How many transposes the plan has beside those of the images as they come in."""
        rows = self._session.describe(print_fn=lambda text: None)
        moved = [row["inputs"][0] for row in rows if row["primitive"] == "transpose"]
        return len(moved) - moved.count(self._images.shape)


class _Notes(logging.Handler):
    """Collects what the engine warns of."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        self._notes.append(record.getMessage())


if __name__ == "__main__":
    answer(Session)
