"""Observation: what is known of a model's values after it ran on given data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from engine.graph.constants import Constants
from engine.graph.graph import Graph
from engine.graph.labels import labels
from engine.graph.passes import optimise
from engine.graph.passes.lowering import PRODUCTS
from engine.graph.passes.quantization import Range, Statistics
from engine.primitives.precision import LARGEST
from engine.primitives.primitive import Array
from engine.tensor import Tensor

_BATCH = 8  # rows that are observed at once
_BINS = 4096


class Observed:
    """The numbers that a value took: their extremes, and a histogram of their magnitudes."""

    def __init__(self) -> None:
        self.minimum, self.maximum = np.inf, -np.inf
        self._bound = 0.0  # a power of two; the histogram covers magnitudes below it
        self._counts = np.zeros(_BINS, np.int64)
        self._sums: Array | float = 0.0
        self._rows = 0

    def add(self, array: Array, label: str) -> None:
        array = np.atleast_1d(array)
        minimum, maximum = float(array.min()), float(array.max())
        if not np.isfinite([minimum, maximum]).all():
            raise ValueError(f"Calibration met a number that is not finite in {label!r}.")
        self.minimum, self.maximum = min(self.minimum, minimum), max(self.maximum, maximum)
        self._sums = self._sums + array.sum(axis=tuple(range(array.ndim - 1)), dtype=np.float64)
        self._rows += array.size // array.shape[-1]
        largest = max(-minimum, maximum)
        if largest >= self._bound:
            self._widen(2.0 ** (np.floor(np.log2(largest)) + 1) if largest > 0 else 0.0)
        if self._bound:
            places = (np.abs(array.reshape(-1)) * np.float32(_BINS / self._bound)).astype(np.int32)
            self._counts += np.bincount(np.minimum(places, _BINS - 1), minlength=_BINS)

    def _widen(self, bound: float) -> None:
        if self._bound:
            factor = min(int(bound / self._bound), _BINS)
            joined = self._counts.reshape(-1, factor).sum(axis=1)
            self._counts = np.concatenate([joined, np.zeros(_BINS - len(joined), np.int64)])
        self._bound = bound

    def means(self) -> tuple[float, ...]:
        """The mean of each channel, the last axis, to six digits."""
        return tuple(float(f"{mean:.6g}") for mean in np.atleast_1d(self._sums / self._rows))

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        return max(-self.minimum, self.maximum)

    def percentile(self, percentile: float) -> float:
        """The magnitude below which this share of the numbers lies."""
        below = np.searchsorted(np.cumsum(self._counts), percentile / 100 * self._counts.sum()) + 1
        return min(float(below) * self._bound / _BINS, self.largest)

    def best_limit(self) -> float:
        """The magnitude at which to saturate so that the mean squared error of 8 bits is least."""
        places = (np.arange(_BINS) + 0.5) * self._bound / _BINS
        steps = LARGEST["uint8" if self.minimum >= 0 else "int8"]

        def error(limit: float) -> float:
            step = limit / steps
            rounding = np.minimum(places**2, step**2 / 12)  # what is smaller than half a step becomes 0
            return float(self._counts @ np.where(places > limit, (places - limit) ** 2, rounding))

        return min((self.largest * share for share in np.linspace(1, 0.2, 81)), key=error)

    def range(self, limit: float) -> Range:
        """The extremes, cut to a magnitude."""
        return Range(max(self.minimum, -limit), min(self.maximum, limit))


def observe(
    captured: Callable[[int], Graph], leaves: Sequence[Array], rows: int, limit: Callable[[Observed], float]
) -> Statistics:
    """Runs a model in float32, node by node, and observes its values.

    Args:
        captured: gives the model's graph for a number of rows.
        leaves: the arrays for its inputs.
        rows: how many they have.
        limit: the magnitude at which a value is to saturate.

    Raises:
        ValueError: a value is not finite.
    """
    found: dict[str, Observed] = {}
    graphs: dict[int, tuple[Graph, dict[Any, str]]] = {}
    read: set[str] = set()  # by convolutions and matrix products
    constants = Constants()
    for start in range(0, rows, _BATCH):
        size = min(_BATCH, rows - start)
        if size not in graphs:
            graph = captured(size)
            optimise(graph, constants, frozen=True, lower=_leave)
            graphs[size] = graph, labels(graph)
            read.update(graphs[size][1].get(node.inputs[0], "") for node in graph.nodes if node.primitive in PRODUCTS)
        graph, names = graphs[size]
        for symbol, array in _values(graph, [leaf[start : start + size] for leaf in leaves]):
            if symbol in names and array.dtype == np.float32 and array.size:
                found.setdefault(names[symbol], Observed()).add(array, names[symbol])
    ranges = {label: observed.range(limit(observed)) for label, observed in sorted(found.items())}
    return Statistics(ranges, {label: found[label].means() for label in sorted(read) if label in found})


def _leave(graph: Graph, constants: Constants) -> None:
    """Lowers nothing, so that a graph is fused as one that will be lowered."""


def _values(graph: Graph, arrays: Sequence[Array]) -> Iterator[tuple[Any, Array]]:
    """Every value of a graph that is computed from `arrays`, one after the other."""
    last = {symbol: index for index, node in enumerate(graph.nodes) for symbol in node.inputs}
    values: dict[Any, Tensor] = {symbol: Tensor(array) for symbol, array in graph.constants.items()}
    for symbol, array in zip(graph.inputs, arrays, strict=True):
        values[symbol] = Tensor(array)
        yield symbol, array
    for index, node in enumerate(graph.nodes):
        results = node.primitive(*(values[symbol] for symbol in node.inputs), **node.options)
        for symbol, result in zip(node.outputs, results if isinstance(results, tuple) else (results,), strict=False):
            values[symbol] = result
            yield symbol, result.array
        for symbol in node.inputs:
            if last[symbol] == index:
                values.pop(symbol, None)
