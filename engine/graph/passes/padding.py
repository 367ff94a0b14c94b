"""Padding: zeros that are added around an array become the padding of the operation that reads it."""

from __future__ import annotations

from engine.graph.graph import Graph, Node
from engine.graph.passes.rewriting import Uses, producer
from engine.primitives.activations import relu, sigmoid
from engine.primitives.convolution import convolution
from engine.primitives.indexing import clip
from engine.primitives.pooling import max_pooling
from engine.primitives.shaping import pad
from engine.tensor import Symbol

Pairs = tuple[tuple[int, int], ...]


def fold_padding(graph: Graph) -> None:
    """Moves spatial zero padding into convolutions, and into maximum pooling of what is never negative."""
    uses = Uses(graph)
    for node in graph.nodes:
        before = producer(node.inputs[0], pad) if node.primitive in (convolution, max_pooling) else None
        if before is None:
            continue
        widths: Pairs = before.options["widths"]
        if before.options.get("value", 0.0) != 0 or any(widths[0]) or any(widths[-1]):
            continue
        source = before.inputs[0]
        both = zip(node.options["padding"], widths[1:-1], strict=True)
        padding = tuple((a + c, b + d) for (a, b), (c, d) in both)
        if node.primitive is max_pooling and not _leaves_maximum(node, source, padding, uses):
            continue
        node.options = {**node.options, "padding": padding}
        node.inputs = [source, *node.inputs[1:]]


def _leaves_maximum(node: Node, source: Symbol, padding: Pairs, uses: Uses) -> bool:
    """Whether the maximum is the same when padding never wins: every window sees the array, nothing is negative.

    The gradient would not be: where all are zeros the padding's, which came first, took it.
    """
    inside = all(width < window for pair, window in zip(padding, node.options["window"], strict=True) for width in pair)
    return inside and uses[node.outputs[1]] == 0 and _is_nonnegative(source)


def _is_nonnegative(symbol: Symbol) -> bool:
    node = symbol.node
    if node is None:
        return False
    if node.primitive in (max_pooling, pad) and symbol.index == 0:
        return node.options.get("value", 0.0) >= 0 and _is_nonnegative(node.inputs[0])
    return node.primitive in (relu, sigmoid) or (node.primitive is clip and node.options["minimum"] >= 0)
