"""Labels: names for the values of a graph that stay the same from one capture of a model to the next.

A value is known by the primitive that makes it and by how many of its kind come before it on a walk from the outputs
to the inputs, as in "convolution 3". Neither the batch size nor the fusion of nodes changes that.
"""

from __future__ import annotations

from collections import Counter

from engine.graph.graph import Graph, Node
from engine.primitives.fusion import Chain, Link, fused
from engine.tensor import Symbol

_Place = tuple[Node, int]
"""A primitive on the walk: a node, and the link where the node is a chain."""


def labels(graph: Graph) -> dict[Symbol, str]:
    """A label for each input and each first output of a node that the outputs need."""
    found = {symbol: f"input {index}" for index, symbol in enumerate(graph.inputs)}
    counts: Counter[str] = Counter()
    entered: set[_Place] = set()
    # Depth first, operands from left to right; a place is counted once all that it needs has been.
    open_places = [(_end(symbol.node), False) for symbol in reversed(graph.outputs) if symbol.node is not None]
    while open_places:
        place, is_ready = open_places.pop()
        node, position = place
        name, operands = _link(node, position)
        if is_ready:
            label = f"{name} {counts[name]}"
            counts[name] += 1
            if place == _end(node):
                found[node.outputs[0]] = label
            continue
        if place in entered:
            continue
        entered.add(place)
        open_places.append((place, True))
        for index in reversed(operands):
            if index is None:
                open_places.append(((node, position - 1), False))
            elif (before := node.inputs[index].node) is not None:
                open_places.append((_end(before), False))
    return found


def links(node: Node) -> Chain:
    """A node as a chain: its own links, or itself as the only one."""
    if node.primitive is fused:
        chain: Chain = node.options["chain"]
        return chain
    return (Link(node.primitive, tuple(range(len(node.inputs))), tuple(sorted(node.options.items()))),)


def _end(node: Node) -> _Place:
    return node, len(node.options["chain"]) - 1 if node.primitive is fused else 0


def _link(node: Node, position: int) -> tuple[str, tuple[int | None, ...]]:
    if node.primitive is fused:
        link: Link = node.options["chain"][position]
        return link.primitive.name, link.operands
    return node.primitive.name, tuple(range(len(node.inputs)))
