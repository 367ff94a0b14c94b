"""Passes: rewrites of a graph that leave its meaning alone. Each takes a graph and changes it in place."""

from __future__ import annotations

from engine.graph.graph import Graph
from engine.tensor import Symbol


def eliminate_dead_nodes(graph: Graph) -> None:
    """Drops nodes that reach no output and no assignment."""
    needed: set[Symbol] = {*graph.outputs, *graph.assignments.values()}
    alive = []
    for node in reversed(graph.nodes):
        if any(output in needed for output in node.outputs):
            alive.append(node)
            needed.update(node.inputs)
    graph.nodes = alive[::-1]


def freeze_variables(graph: Graph) -> None:
    """Makes the variables that the graph only reads constants: for sessions, whose weights do not change."""
    assigned = set(graph.assignments)
    for symbol, variable in list(graph.variables.items()):
        if variable not in assigned:
            graph.constants[symbol] = variable.array
            del graph.variables[symbol]


def fold_constants(graph: Graph) -> None:
    """Computes nodes whose inputs are all constants once, now."""
    remaining = []
    for node in graph.nodes:
        if node.inputs and all(symbol in graph.constants for symbol in node.inputs):
            arrays = node.primitive.evaluate([graph.constants[symbol] for symbol in node.inputs], node.options)
            for symbol, array in zip(node.outputs, arrays, strict=True):
                graph.constants[symbol] = array
        else:
            remaining.append(node)
    graph.nodes = remaining


def eliminate_common_nodes(graph: Graph) -> None:
    """Computes equal nodes (same primitive, inputs and options) once."""
    first: dict[object, list[Symbol]] = {}
    replaced: dict[Symbol, Symbol] = {}
    remaining = []
    for node in graph.nodes:
        node.inputs = [replaced.get(symbol, symbol) for symbol in node.inputs]
        key = (node.primitive.name, tuple(id(symbol) for symbol in node.inputs), tuple(sorted(node.options.items())))
        known = first.get(key)
        if known is None:
            first[key] = node.outputs
            remaining.append(node)
        else:
            replaced.update(zip(node.outputs, known, strict=True))
    graph.nodes = remaining
    graph.outputs = [replaced.get(symbol, symbol) for symbol in graph.outputs]
    graph.assignments = {variable: replaced.get(s, s) for variable, s in graph.assignments.items()}


def simplify(graph: Graph, frozen: bool = False) -> None:
    """The passes that every plan goes through, in order."""
    if frozen:
        freeze_variables(graph)
    eliminate_dead_nodes(graph)
    fold_constants(graph)
    eliminate_common_nodes(graph)
    eliminate_dead_nodes(graph)
