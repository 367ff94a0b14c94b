"""Capture: turning a Python function over values into a graph, by calling it on symbols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import tree
from engine.graph.graph import Graph
from engine.primitives.apply import as_value
from engine.primitives.primitive import Spec
from engine.scopes import capturing, taping
from engine.tensor import Symbol, Tensor, Value
from engine.variable import Variable


def capture(function: Callable[..., Any], *specs: Any, graph: Graph | None = None) -> tuple[Graph, Any]:
    """Captures `function(*arguments)`.

    Args:
        function: called once with symbols in place of specs.
        specs: nests of `Spec`; leaves that are no Spec (None, flags) are passed as they are.
        graph: an empty graph to record into; default: a new one.

    Returns:
        The graph, whose inputs are the specs' symbols in order, and the nest that the function returned, its leaves
        replaced by their index in `graph.outputs`, or None.

    Raises:
        CaptureError: the function asked for the value of a symbol.
    """
    graph = Graph() if graph is None else graph
    arguments = [map_specs(graph.input, item) for item in specs]
    with taping(()), capturing(graph):
        results = function(*arguments)

        def output(leaf: Any) -> int | None:
            if leaf is None:
                return None
            graph.outputs.append(graph.symbol(_operand(leaf)))
            return len(graph.outputs) - 1

        structure = tree.map_structure(output, results)
    return graph, structure


def map_specs(function: Callable[[Spec], Any], structure: Any) -> Any:
    """A nest with `function` applied to its specs; other leaves stay."""
    if isinstance(structure, Spec):  # itself a tuple: the walk ends here
        return function(structure)
    if isinstance(structure, dict):
        mapped = {key: map_specs(function, structure[key]) for key in sorted(structure)}
        return {key: mapped[key] for key in structure}
    if isinstance(structure, (list, tuple)):
        items = [map_specs(function, item) for item in structure]
        return items if isinstance(structure, list) else tuple(items)
    return structure


def _operand(leaf: Any) -> Any:
    if isinstance(leaf, Variable):
        return leaf.read()
    if isinstance(leaf, (Symbol, Tensor)):
        return leaf
    if isinstance(leaf, Value):
        raise TypeError(f"A captured function returned {leaf!r}, which has no values.")
    return as_value(leaf)


def infer_outputs(function: Callable[..., Any], *specs: Any) -> Any:
    """The specs of what `function` returns for arguments of the given specs; nothing is computed or assigned."""
    graph, structure = capture(function, *specs)
    outputs = [Spec(symbol.shape, symbol.dtype) for symbol in graph.outputs]
    return tree.map_structure(lambda index: None if index is None else outputs[index], structure)
