"""Cleaning: dropping what is not needed, computing what is known, computing equal things once."""

from __future__ import annotations

import math
from functools import partial

from engine.graph.constants import Constants
from engine.graph.graph import Graph, Node
from engine.graph.passes.rewriting import producer, replace
from engine.primitives.casting import cast
from engine.primitives.elementwise import add, divide, multiply, subtract
from engine.primitives.primitive import Primitive
from engine.primitives.shaping import broadcast_to, reshape
from engine.tensor import Symbol

_NEUTRAL: dict[Primitive, float] = {add: 0.0, subtract: 0.0, multiply: 1.0, divide: 1.0}


def eliminate_dead_nodes(graph: Graph) -> None:
    """Drops nodes that reach no output and no assignment, and constants that nobody reads any more."""
    needed: set[Symbol] = {*graph.outputs, *graph.assignments.values()}
    alive = []
    for node in reversed(graph.nodes):
        if any(output in needed for output in node.outputs):
            alive.append(node)
            needed.update(node.inputs)
    graph.nodes = alive[::-1]
    graph.constants = {symbol: array for symbol, array in graph.constants.items() if symbol in needed}


def freeze_variables(graph: Graph, constants: Constants) -> None:
    """Makes the variables that the graph only reads constants: for sessions, whose weights do not change."""
    assigned = set(graph.assignments)
    for symbol, variable in list(graph.variables.items()):
        if variable not in assigned:
            graph.constants[symbol] = variable.array
            constants.add_weights(variable.array)
            del graph.variables[symbol]


def fold_constants(graph: Graph, constants: Constants) -> None:
    """Computes nodes whose inputs are all constants once, now."""
    remaining = []
    for node in graph.nodes:
        if node.inputs and all(symbol in graph.constants for symbol in node.inputs):
            sources = [graph.constants[symbol] for symbol in node.inputs]
            operation = node.primitive.name, tuple(sorted(node.options.items()))
            arrays = constants.derive(operation, sources, partial(node.primitive.evaluate, sources, node.options))
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
    replace(graph, replaced)


def strip_trivial_nodes(graph: Graph) -> None:
    """Drops what changes nothing; of reshapes in a row the last one stays."""
    replaced: dict[Symbol, Symbol] = {}
    remaining = []
    for node in graph.nodes:
        node.inputs = [replaced.get(symbol, symbol) for symbol in node.inputs]
        if node.primitive is reshape:
            while (before := producer(node.inputs[0], reshape)) is not None:
                node.inputs = list(before.inputs)
        source = _unchanged(graph, node)
        if source is not None:
            replaced[node.outputs[0]] = source
            continue
        remaining.append(node)
    graph.nodes = remaining
    replace(graph, replaced)


def _unchanged(graph: Graph, node: Node) -> Symbol | None:
    """The input that a node's result equals: of a reshape to the same shape, of a product with one."""
    result = node.outputs[0]
    position = 0
    if node.primitive in _NEUTRAL:
        neutral = [_is_number(graph, symbol, _NEUTRAL[node.primitive]) for symbol in node.inputs]
        if True not in neutral:
            return None
        position = 1 if neutral[0] else 0
        if position and node.primitive in (subtract, divide):
            return None
    elif node.primitive not in (reshape, broadcast_to, cast):
        return None
    source = node.inputs[position]
    return source if source.shape == result.shape and source.dtype == result.dtype else None


def _is_number(graph: Graph, symbol: Symbol, number: float) -> bool:
    array = graph.constants.get(symbol)
    return array is not None and array.size == 1 and bool(array.reshape(())[()] == number)


def is_whole(symbol: Symbol) -> bool:
    """Whether an array has more than one element: others are as good as numbers."""
    return math.prod(symbol.shape) > 1
