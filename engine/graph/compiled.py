"""Compiled functions: a Python function over nests of values that runs as a plan for each input signature."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from engine import tree
from engine.graph.capture import capture
from engine.graph.constants import Constants
from engine.graph.memory import Arena
from engine.graph.plan import Plan
from engine.primitives.apply import as_value
from engine.primitives.primitive import Array, Spec
from engine.tensor import CaptureError, Tensor
from engine.variable import Variable

logger = logging.getLogger("engine")


class CompiledFunction:
    """Calls `function` through plans.

    Args:
        function: takes nests of values, returns a nest of values (None allowed). It is called once for each new
            signature (shapes and dtypes) with symbols, so its Python side effects happen once.
        name: for log lines.
        frozen: the variables it reads are constants from the first call on.
        limit: how many signatures are kept; the least recently used is dropped.

    Where the function asks for a value (Python that branches on data) it runs eagerly from then on, after one log line.
    Calls from several threads are serialised.
    """

    def __init__(self, function: Callable[..., Any], name: str, frozen: bool = False, limit: int = 16) -> None:
        self.function = function
        self.name = name
        self.eager = False
        self._frozen = frozen
        self._limit = limit
        self._plans: OrderedDict[Any, tuple[Plan, Any]] = OrderedDict()
        self._arena = Arena()
        self._constants = Constants()
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> Any:
        """Runs on nests of arrays (None and tensors allowed); returns the function's nest with fresh NumPy arrays."""
        leaves = [_array(leaf) for leaf in tree.flatten(arguments)]
        if not self.eager:
            with self._lock:
                try:
                    plan, structure = self._plan(arguments, leaves)
                except CaptureError as error:
                    self.eager = True
                    logger.warning("%s runs without a plan: %s", self.name, error)
                else:
                    results = plan.run([leaf for leaf in leaves if leaf is not None])
                    return tree.map_structure(lambda index: None if index is None else results[index], structure)
        values = [None if leaf is None else Tensor(leaf) for leaf in leaves]
        outcome = self.function(*tree.pack_sequence_as(arguments, values))
        return tree.map_structure(_result, outcome)

    def _plan(self, arguments: Any, leaves: list[Array | None]) -> tuple[Plan, Any]:
        key = (tree.form(arguments), tuple(None if leaf is None else (leaf.shape, leaf.dtype) for leaf in leaves))
        entry = self._plans.get(key)
        if entry is None:
            entry = self.build(arguments)
            self._plans[key] = entry
            if len(self._plans) > self._limit:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        return entry

    def build(self, arguments: Any) -> tuple[Plan, Any]:
        """A plan for arguments of these shapes and dtypes, and the nest of output indices."""
        leaves = [_array(leaf) for leaf in tree.flatten(arguments)]
        specs = [None if leaf is None else Spec(leaf.shape, leaf.dtype) for leaf in leaves]
        graph, structure = capture(self.function, *tree.pack_sequence_as(arguments, specs))
        return Plan(graph, self._arena, self._constants, self._frozen), structure


def _array(leaf: Any) -> Array | None:
    if leaf is None or isinstance(leaf, np.ndarray):
        return leaf
    if isinstance(leaf, (Tensor, Variable)):
        return leaf.array
    return as_value(leaf).array


def _result(leaf: Any) -> Any:
    if leaf is None:
        return None
    value = as_value(leaf)
    return np.array(value.array)
