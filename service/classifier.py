"""One served model ready to classify: preprocessing, probabilities, finished answers."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.errors import error_body
from service.repository import ServedModel

DECIMALS = 6  # of a probability in an answer
SHIFT = 10.0**DECIMALS
SHORT_ROW = 32  # classes up to which Python's own sort of a row is faster than NumPy's
FEW_CLASSES = 64  # up to here sorting all is as fast as looking for the best
ENGINE_THREADS = "BEAGLE_THREADS"


class Session(Protocol):
    """What runs a model; an `engine.InferenceSession` does."""

    def run(self, x: NDArray[np.float32]) -> Any: ...


Load = Callable[[ServedModel], Session]


class ClassifierError(RuntimeError):
    """A served model cannot be used as its serving.toml says."""


class EngineLoader:
    """Loads models with the engine, and warms a session of each for batches up to its `max_batch`.

    Args:
        threads: of the engine in this process; 0 takes this process's share of what the machine grants.
        processes: how many processes like this one share the machine.
    """

    def __init__(self, threads: int = 0, processes: int = 1) -> None:
        self._threads = threads
        self._processes = processes

    def __call__(self, served: ServedModel) -> Session:
        """Load one model; raises what the engine raises for a file that it cannot read."""
        # The engine reads this variable when it starts its threads, and knows no 0.
        os.environ.pop(ENGINE_THREADS, None)
        import engine  # here, so that whoever does not load with it does not pay for it
        from engine.threads import thread_count

        threads = self._threads or max(1, thread_count() // max(1, self._processes))
        os.environ[ENGINE_THREADS] = str(threads)
        model = engine.models.load_model(str(served.model_path))
        return engine.InferenceSession(
            model,
            batch_sizes=batch_sizes(served.max_batch),
            precision=served.precision,
            calibration=served.calibration_path,
        )


def batch_sizes(max_batch: int) -> tuple[int, ...]:
    """Sizes that a session is built for: 1, 8, 32, … below `max_batch`, and `max_batch` itself."""
    sizes = []
    size = 1
    while size < max_batch:
        sizes.append(size)
        size *= 8 if size == 1 else 4
    return (*sizes, max_batch)


class Classifier:
    """A session with the preprocessing and the labels of its serving.toml around it.

    Args:
        served: the model's entry in the repository.
        load: makes the session, usually an `EngineLoader`.

    Raises:
        ClassifierError: the model cannot be loaded, does not take the input, or does not give one value a label.
    """

    def __init__(self, served: ServedModel, load: Load) -> None:
        self.served = served
        self._gain, self._offset = _affine(served)
        self._softmax = served.activation == "softmax"
        labels = [json.dumps(label, ensure_ascii=False) for label in served.labels]
        self._openings = [f'{{"label": {label}, "probability": ' for label in labels]
        self._name = f"model {served.name!r} version {served.version}"
        try:
            self._session = load(served)
        except Exception as error:
            raise ClassifierError(f"{self._name}, {served.model_path}, cannot be loaded: {error}") from error
        self._check()

    def _check(self) -> None:
        """Run one blank image: the model must fit its serving.toml before the first request, not at it."""
        served = self.served
        blank = np.zeros((1, *served.shape), np.uint8)
        try:
            output = np.asarray(self._session.run(self.preprocess(blank)))
        except Exception as error:
            raise ClassifierError(
                f"{self._name} does not take the input of its serving.toml, {list(blank.shape)}: {error}"
            ) from error
        if output.shape != (1, len(served.labels)):
            raise ClassifierError(
                f"{self._name} gives an output of shape {list(output.shape)}, "
                f"expected [1, {len(served.labels)}]: one value for each label"
            )

    def preprocess(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(x * scale - mean) / std in float32; `images` is uint8 [n, height, width, channels]."""
        gain = self._gain
        x = images.astype(np.float32) if gain is None else np.multiply(images, gain, dtype=np.float32)
        if self._offset is not None:
            x += self._offset
        return x

    def probabilities(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities, float32 [n, classes], of n ≥ 1 preprocessed images. Raises whatever the model raises."""
        y = np.asarray(self._session.run(x), dtype=np.float32)
        if self._softmax:
            y = y - y.max(axis=1, keepdims=True)
            np.exp(y, out=y)
            y /= y.sum(axis=1, keepdims=True)
        return y

    def answers(self, probabilities: NDArray[np.float32], top_ks: Sequence[int]) -> list[bytes]:
        """For each row the result JSON with its best `top_k` labels, best first, equal ones by their index.

        A row with a value that is no number gets an error: the model failed on it.
        """
        describe = self._describe_by_row if probabilities.shape[1] <= SHORT_ROW else self._describe_together
        return [
            error_body("model_failed", "the model's output for this image is not finite")
            if entries is None
            else f'{{"success": true, "predictions": [{", ".join(entries)}]}}'.encode()
            for entries in describe(probabilities, top_ks)
        ]

    def classify(self, x: NDArray[np.float32], top_ks: Sequence[int]) -> list[bytes]:
        """The result JSON of each of the preprocessed images. Raises whatever the model raises."""
        return self.answers(self.probabilities(x), top_ks)

    def _describe_by_row(
        self, probabilities: NDArray[np.float32], top_ks: Sequence[int]
    ) -> Iterator[Sequence[str] | None]:
        """The entries of each row's list, None where a value is no number; cheaper than NumPy's calls alone."""
        openings = self._openings
        for row, top_k in zip(probabilities.tolist(), top_ks, strict=True):
            if not math.isfinite(sum(row)):
                yield None
                continue
            best = sorted(range(len(row)), key=row.__getitem__, reverse=True)[:top_k]
            # Rounded as NumPy does it: a small value below zero keeps its sign.
            yield [f"{openings[c]}{round(row[c] * SHIFT) / SHIFT or row[c] * 0.0}}}" for c in best]

    def _describe_together(
        self, probabilities: NDArray[np.float32], top_ks: Sequence[int]
    ) -> Iterator[Sequence[str] | None]:
        """The same for rows of many classes."""
        order = best_classes(probabilities, max(top_ks))
        best = probabilities[np.arange(len(order))[:, None], order]
        values = best.astype(np.float64).round(DECIMALS).tolist()
        finite = np.logical_and.reduce(np.isfinite(probabilities), axis=1)
        openings = self._openings
        for row_finite, classes, row, top_k in zip(finite, order.tolist(), values, top_ks, strict=True):
            if row_finite:
                yield [f"{openings[c]}{p}}}" for c, p in zip(classes[:top_k], row[:top_k], strict=True)]
            else:
                yield None


def best_classes(probabilities: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Indices [n, min(k, classes)] of the largest values of each row, largest first, equal ones by index."""
    classes = probabilities.shape[1]
    negative = -probabilities
    if classes <= FEW_CLASSES or k >= classes:
        return np.argsort(negative, axis=1, kind="stable")[:, :k]
    kept = np.argpartition(negative, k - 1, axis=1)[:, :k]
    kept.sort(axis=1)
    rows = np.arange(len(kept))[:, None]
    return kept[rows, np.argsort(negative[rows, kept], axis=1, kind="stable")]


def _affine(served: ServedModel) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Gain and offset with x * gain + offset == (x * scale - mean) / std; None for what changes nothing."""
    std = np.asarray(served.std or 1.0)
    gain = np.asarray(served.scale / std)
    offset = np.asarray(-np.asarray(served.mean or 0.0) / std)
    return (
        None if np.all(gain == 1.0) else gain.astype(np.float32),
        None if np.all(offset == 0.0) else offset.astype(np.float32),
    )
