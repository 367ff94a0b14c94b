"""ONNX's own node tests: models of one operator with inputs and outputs, which the package `onnx` carries."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from typing import Any

import onnx
import onnx.backend.test.case.base as exporting
import onnx.backend.test.case.node as node_cases
from onnx.backend.test.case.test_case import TestCase

_SLOW = {
    "averagepool": ["export_averagepool_3d_default"],
    "lppool": ["export_lppool_3d_default"],
    "maxpool": ["export_maxpool_3d_default"],
}
"""By family: tests left out because their expected outputs, made by ONNX's reference in Python, take five seconds each;
the same operator has others in three dimensions."""


def families() -> list[str]:
    """The modules of the package that hold node tests, one or more for each operator."""
    found = pkgutil.walk_packages(node_cases.__path__, f"{node_cases.__name__}.")
    names = (item.name.removeprefix(f"{node_cases.__name__}.") for item in found if not item.ispkg)
    return sorted(name for name in names if not name.startswith("_"))


def cases(family: str) -> list[TestCase]:
    """The tests of a family. They are made when their module is imported, which this does, once a process."""
    if family not in _made:
        if f"{node_cases.__name__}.{family}" in sys.modules:
            raise RuntimeError(f"the node tests of {family} were made before, with those of another family")
        before = len(node_cases._NodeTestCases)
        _import(family)
        _made[family] = node_cases._NodeTestCases[before:]
    return _made[family]


_made: dict[str, list[TestCase]] = {}


def _import(family: str) -> None:
    snippet, pool = exporting.process_snippet, exporting._Exporter.__init__

    def exported(cls: Any, name: str, bases: Any, members: dict[str, Any]) -> None:
        pool(cls, name, bases, {key: item for key, item in members.items() if key not in _SLOW.get(family, ())})

    # Documentation is made of the same functions, which takes longer than the tests.
    exporting.process_snippet = lambda operator, name, export: (name, "")
    exporting._Exporter.__init__ = exported  # type: ignore[method-assign]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(f"{node_cases.__name__}.{family}")
    finally:
        exporting.process_snippet, exporting._Exporter.__init__ = snippet, pool  # type: ignore[method-assign]


def ancestors(graph: onnx.GraphProto, name: str) -> set[str]:
    """The inputs of a graph that a value depends on."""
    inputs = {item.name for item in graph.input}
    makers = {output: node for node in graph.node for output in node.output}
    found: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        current = waiting.pop()
        if current in inputs:
            found.add(current)
        elif current in makers:
            new = [item for item in makers[current].input if item and item not in seen]
            seen.update(new)
            waiting += new
    return found
