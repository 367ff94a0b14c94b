"""Calibration: which range each value of a model takes on given data, as int8 needs to know it.

Ranges are observed in float32 and kept by label (`engine.graph.labels`), so that they hold for every batch size. A
calibration belongs to the weights it was observed with, whose hash it carries.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.graph.constants import Constants
from engine.graph.graph import Graph
from engine.graph.passes import Lower
from engine.graph.passes.lowering import Borders
from engine.graph.passes.quantization import Range, Statistics, lower_to_int8
from engine.graph.plan import Plan
from engine.inference.inputs import ModelInputs
from engine.inference.observation import Observed, observe
from engine.primitives.primitive import Array

logger = logging.getLogger("engine")

METHODS = ("mse", "percentile", "min-max")
_FORMAT = "beagle calibration 1"
_LARGEST_FILE = 64 << 20  # bytes
_BATCH = 8  # rows that are tried at once
_TRIAL_ROWS = 64
ALLOWED_ERROR = 0.025
"""How far int8 may be from float32 with every layer in int8: the norm of the difference by that of the outputs."""
# The first and the last layer see the widest ranges and cost little: they stay in float32 where that is needed.
_CANDIDATES = (Borders(), Borders(last=True), Borders(first=True), Borders(first=True, last=True))


@dataclass(frozen=True, repr=False)
class Calibration:
    """What is known of a model's values.

    Attributes:
        statistics: by the labels of values the ranges that int8 has to represent, and the means of what convolutions
            and matrix products read.
        borders: which layers at the ends of the model stay in float32.
        error: how far int8 was from float32 on the calibration data, see `ALLOWED_ERROR`.
        method, percentile: how the ranges were found.
        weights: the hash of the model's weights.
    """

    statistics: Statistics
    borders: Borders
    error: float
    method: str
    percentile: float
    weights: str

    def __repr__(self) -> str:
        return (
            f"<calibration of {len(self.statistics.ranges)} values by {self.method}, {self.borders}, "
            f"error {self.error:.4f}>"
        )

    def save(self, path: Any) -> None:
        """Writes the calibration as JSON."""
        content = {
            "format": _FORMAT,
            "weights": self.weights,
            "method": self.method,
            "percentile": self.percentile,
            "error": self.error,
            "float32": self.borders._asdict(),
            **self.statistics._asdict(),
        }
        Path(path).write_text(json.dumps(content) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Any) -> Calibration:
        """Reads what `save` wrote.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no calibration file.
        """
        file = Path(path)
        if not file.exists():
            raise FileNotFoundError(
                f"There is no calibration file {file}: engine.inference.calibrate(model, arrays).save(path) makes one."
            )
        if file.stat().st_size > _LARGEST_FILE:
            raise ValueError(f"Calibration file {file}: expected at most {_LARGEST_FILE} bytes.")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise ValueError(f"expected format {_FORMAT!r}. Received: {content['format']!r}")
            return cls(
                statistics=Statistics(
                    {str(label): _range(*extent) for label, extent in content["ranges"].items()},
                    {str(label): _means(means) for label, means in content["means"].items()},
                ),
                borders=Borders(bool(content["float32"]["first"]), bool(content["float32"]["last"])),
                error=float(content["error"]),
                method=str(content["method"]),
                percentile=float(content["percentile"]),
                weights=str(content["weights"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{file} is no calibration file: {type(error).__name__}: {error}") from None

    def belongs_to(self, model: Any) -> bool:
        """Whether it was made with the weights that the model has now."""
        return self.weights == weights_hash(model)

    def lowering(self) -> Lower:
        """The pass that rewrites a graph of the model to int8."""
        return partial(lower_to_int8, statistics=self.statistics, borders=self.borders)


def _range(minimum: Any, maximum: Any) -> Range:
    extent = Range(float(minimum), float(maximum))
    if not (np.isfinite(extent).all() and extent.minimum <= extent.maximum):
        raise ValueError(f"expected a range of finite numbers. Received: {extent}")
    return extent


def _means(numbers: Any) -> tuple[float, ...]:
    means = tuple(map(float, numbers))
    if not np.isfinite(means).all():
        raise ValueError("expected means that are finite numbers")
    return means


def weights_hash(model: Any) -> str:
    """A hash (BLAKE2) over shapes, dtypes and values of a model's weights, in their order."""
    digest = hashlib.blake2b(digest_size=32)  # twice as fast as SHA-2 where the CPU has no instructions for that
    for variable in model.weights:
        digest.update(f"{variable.shape} {variable.dtype};".encode())
        digest.update(np.ascontiguousarray(variable.array).view(np.uint8).data)
    return digest.hexdigest()


def calibrate(model: Any, arrays: Any, method: str = "mse", percentile: float = 99.99) -> Calibration:
    """Observes a model's values and decides what stays in float32.

    Args:
        model: a model, trained.
        arrays: any nest of arrays that `model.predict` takes: a few dozen to a few hundred rows like those to come.
        method: how much of what was seen is represented, where the rest saturates. "mse": as much as gives the least
            mean squared error between saturating and rounding; "percentile": a share of the magnitudes; "min-max": all.
        percentile: for "percentile" that share, in per cent.

    All layers are computed in int8 if the outputs for the arrays (the first 64 rows) stay within `ALLOWED_ERROR` of
    float32's; else the last layer stays in float32, or the first, or both: the first of these that suffices, or the
    one with the smallest error. A CPU without fast int8 kernels cannot try; there all layers are marked for int8.

    Raises:
        ValueError: unknown method, a percentile out of range, no rows, or a value that is not finite.
        CaptureError: the model cannot be captured as a graph.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}. Received: {method!r}")
    if not 50 < percentile <= 100:
        raise ValueError(f"percentile must be above 50 and at most 100. Received: {percentile!r}")
    inputs = ModelInputs(model)
    leaves = inputs.leaves(arrays)
    nest, rows, count = inputs.nest(arrays, leaves), inputs.rows(leaves), inputs.count(leaves)
    if count == 0:
        raise ValueError("Calibration needs at least one row of data.")
    leaves = [leaf.astype(dtype, copy=False) for leaf, (_, dtype) in zip(leaves, rows, strict=True)]

    def captured(size: int) -> Graph:
        return inputs.capture(nest, rows, size)[0]

    def limit(observed: Observed) -> float:
        if method == "min-max":
            return observed.largest
        return observed.best_limit() if method == "mse" else observed.percentile(percentile)

    statistics = observe(captured, leaves, count, limit)
    borders, error = _choose_borders(captured, leaves, min(count, _TRIAL_ROWS), statistics)
    return Calibration(statistics, borders, error, method, float(percentile), weights_hash(model))


# Choosing --------------------------------------------------------------------------------------------------------


def _choose_borders(
    captured: Callable[[int], Graph], leaves: Sequence[Array], rows: int, statistics: Statistics
) -> tuple[Borders, float]:
    """The first candidate whose outputs are close enough, or the closest; and its error."""
    size = min(_BATCH, rows)
    constants = Constants()
    expected = _outputs(Plan(captured(size), constants=constants, frozen=True), leaves, size, rows)
    best, smallest = _CANDIDATES[0], np.inf
    for candidate in _CANDIDATES:
        lower = partial(lower_to_int8, statistics=statistics, borders=candidate)
        plan = Plan(captured(size), constants=constants, frozen=True, lower=lower)
        error = _distance(_outputs(plan, leaves, size, rows), expected)
        if error < smallest:
            best, smallest = candidate, error
        if error <= ALLOWED_ERROR:
            break
    else:
        logger.warning("int8 stays %.1f %% away from float32 on the calibration data.", 100 * smallest)
    return best, smallest


def _outputs(plan: Plan, leaves: Sequence[Array], size: int, rows: int) -> list[Array]:
    starts = range(0, rows - size + 1, size)  # whole batches only
    runs = [plan.run([leaf[start : start + size] for leaf in leaves]) for start in starts]
    return [np.concatenate(parts) for parts in zip(*runs, strict=True)]


def _distance(outputs: Sequence[Array], expected: Sequence[Array]) -> float:
    """The largest over the outputs of the norm of their difference by the norm of what is expected."""
    errors = [0.0]
    for ours, theirs in zip(outputs, expected, strict=True):
        if theirs.dtype.kind == "f" or theirs.dtype.name == "bfloat16":
            norm = float(np.linalg.norm(theirs.astype(np.float64)))
            errors.append(float(np.linalg.norm(ours.astype(np.float64) - theirs)) / (norm or 1.0))
    return max(errors)
