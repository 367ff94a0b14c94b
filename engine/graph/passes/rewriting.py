"""What passes share: who uses a symbol, and putting another in its place."""

from __future__ import annotations

from collections import Counter
from typing import Any

from engine.graph.graph import Graph, Node
from engine.primitives.primitive import Array, Primitive, Spec
from engine.tensor import Symbol


class Uses:
    """How often each symbol of a graph is used: by nodes, as an output, as an assigned value."""

    def __init__(self, graph: Graph) -> None:
        self._counts: Counter[Symbol] = Counter(symbol for node in graph.nodes for symbol in node.inputs)
        self._counts.update(graph.outputs)
        self._counts.update(graph.assignments.values())

    def __getitem__(self, symbol: Symbol) -> int:
        return self._counts[symbol]


def replace(graph: Graph, replaced: dict[Symbol, Symbol]) -> None:
    """Uses other symbols in place of some, everywhere; chains of replacements are followed."""

    def final(symbol: Symbol) -> Symbol:
        while symbol in replaced:
            symbol = replaced[symbol]
        return symbol

    if not replaced:
        return
    for node in graph.nodes:
        node.inputs = [final(symbol) for symbol in node.inputs]
    graph.outputs = [final(symbol) for symbol in graph.outputs]
    graph.assignments = {variable: final(symbol) for variable, symbol in graph.assignments.items()}


def constant(graph: Graph, array: Array) -> Symbol:
    """A new constant of the graph."""
    symbol = Symbol(graph, array.shape, array.dtype)
    graph.constants[symbol] = array
    return symbol


def made_node(graph: Graph, primitive: Primitive, inputs: list[Symbol], options: dict[str, Any]) -> Node:
    """A node with fresh outputs; the caller puts it in its place among the graph's nodes."""
    node = Node(primitive, inputs, options)
    specs = primitive.infer([Spec(symbol.shape, symbol.dtype) for symbol in inputs], options)
    node.outputs = [Symbol(graph, spec.shape, spec.dtype, node, index) for index, spec in enumerate(specs)]
    return node


def producer(symbol: Symbol, primitive: Primitive) -> Node | None:
    """The node that makes a symbol, if it is of this primitive."""
    node = symbol.node
    return node if node is not None and node.primitive is primitive else None
