"""Running one of ONNX's node tests through the reader."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import onnx
from onnx.backend.test.case.test_case import TestCase

from engine.models import Model
from engine.onnx.reading import translated
from engine.onnx.reading.builder import FixedBatchError
from engine.onnx.reading.network import Network
from engine.onnx.reading.node import NotConstantError
from tests.engine.onnx.backend.cases import ancestors

PLANNED = 16
"""One test of so many runs through a plan, the rest eagerly."""


def run(case: TestCase) -> None:
    """Imports the model, runs it and compares; inputs that the reader has to know are frozen to the test's values.

    Raises:
        Exception: the model cannot be read; AssertionError: it gives something else than it should.
    """
    for inputs, outputs in case.data_sets:
        names = [item.name for item in case.model.graph.input]
        given = {name: _array(value) for name, value in zip(names, inputs, strict=False)}
        found = _computed(case, given)
        for name, mine, theirs in zip([item.name for item in case.model.graph.output], found, outputs, strict=True):
            _compare(name, mine, _array(theirs))


def _array(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, (np.ndarray, np.generic, int, float)) else value


def _computed(case: TestCase, given: dict[str, Any]) -> list[Any]:
    frozen: dict[str, Any] = {}
    while True:
        try:
            return _run(case, given, frozen)
        except NotConstantError as error:
            missing = ancestors(case.model.graph, error.input_name) - set(frozen)
            missing = missing or set(given) - set(frozen)  # of a graph inside a node
            if not missing:
                raise
            frozen |= {name: given[name] for name in missing}


def _run(case: TestCase, given: dict[str, Any], frozen: dict[str, Any]) -> list[Any]:
    graph = case.model.graph

    def use(network: Network) -> tuple[list[Any], list[Any], dict[int, Any]]:
        placeholders, values = network.translate()
        running = {
            index: network.output(item.name, value)
            for index, (item, value) in enumerate(zip(graph.output, values, strict=True))
            if not value.is_constant
        }
        if any(value.is_sizes for value in values):
            raise FixedBatchError("an output is the length of the batch")
        return placeholders, values, running

    placeholders, values, outputs = translated(case.model, None, False, None, False, frozen, use)
    found = [value.constant for value in values]
    if outputs:
        model = Model(placeholders, list(outputs.values()))
        arrays = [given[item.name] for item in graph.input if item.name not in frozen]
        batches = {array.shape[:1] for array in arrays}
        is_planned = zlib.crc32(case.name.encode()) % PLANNED == 0 and len(batches) == 1 and () not in batches
        results = model.predict(arrays, batch_size=1 << 20, verbose=0) if is_planned else model(arrays)
        results = results if isinstance(results, (list, tuple)) else [results]
        for index, result in zip(outputs, results, strict=True):
            found[index] = np.asarray(result)
    return found


def _compare(name: str, mine: Any, theirs: Any) -> None:
    assert isinstance(theirs, np.ndarray), f"{name!r} is no tensor"
    assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape), (
        f"{name!r} is {mine.dtype}{mine.shape}; expected {theirs.dtype}{theirs.shape}"
    )
    if theirs.dtype.kind in "iub":
        np.testing.assert_array_equal(mine, theirs)
    else:
        wide = (mine.astype(np.float64), theirs.astype(np.float64))
        np.testing.assert_allclose(*wide, rtol=_TOLERANCE.get(theirs.dtype.name, 1e-3), atol=1e-5)


# The expected outputs of half types were rounded to them, after a computation in another order.
_TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2}
