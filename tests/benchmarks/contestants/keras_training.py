"""Training in Keras's language: our engine, or Keras on TensorFlow, by the name of the library."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tests.benchmarks.contestants.answering import Prepared, answer
from tests.benchmarks.networks.keras_networks import named_variables, trained


class Training(Prepared):
    """A compiled model and its data.

    Args:
        library: "engine" or "keras".
        network, dropout: see `keras_networks.trained`.
        weights: the file with which training begins.
        data: an `.npz` file with `x` and `y`, some batches of rows.
        batch: rows a step.
        way: what is measured: "train_on_batch", or "fit" over all the data.
    """

    def __init__(
        self, library: str, network: str, dropout: float, weights: str, data: str, batch: int, way: str
    ) -> None:
        super().__init__()
        self._keras: Any = importlib.import_module(library)
        self._network, self._weights, self._batch, self._way = network, weights, batch, way
        with np.load(data) as arrays:
            self._x, self._y = arrays["x"], arrays["y"]
        self._steps = len(self._x) // batch
        self._model = self._make(dropout)
        self._next = 0
        self.run()

    def _make(self, dropout: float) -> Any:
        model = trained(self._keras, self._network, dropout)
        with np.load(self._weights) as arrays:
            for name, variable in named_variables(model).items():
                variable.assign(arrays[name])
        optimizer = self._keras.optimizers.Adam(1e-3)
        model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
        return model

    def _rows(self, step: int) -> tuple[Any, Any]:
        start = step % self._steps * self._batch
        return self._x[start : start + self._batch], self._y[start : start + self._batch]

    def run(self) -> Any:
        if self._way == "fit":
            return self._model.fit(self._x, self._y, batch_size=self._batch, epochs=1, verbose=0)
        self._next += 1
        return self._model.train_on_batch(*self._rows(self._next))

    def measure(self, times: int, warm_up: bool = True) -> list[float]:
        """Seconds of a step."""
        seconds = super().measure(times, warm_up)
        return [one / self._steps for one in seconds] if self._way == "fit" else seconds

    def losses(self, steps: int) -> list[float]:
        """The losses of the first steps, without dropout."""
        model = self._make(dropout=0.0)
        losses = []
        for step in range(steps):
            model.reset_metrics()
            losses.append(float(np.ravel(model.train_on_batch(*self._rows(step)))[0]))
        return losses


if __name__ == "__main__":
    answer(Training)
