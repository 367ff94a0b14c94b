"""Fusion: what follows a convolution, matrix product or normalisation joins it in one node.

Where two such nodes meet in an addition (a residual connection) the later one takes it, so that the other operand is
there already. A depthwise convolution joins a convolution with a window of 1 before it. A kernel says how much of a
chain it takes; what it leaves stays a node of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.graph.graph import Graph, Node
from engine.graph.passes.rewriting import Uses, made_node, replace
from engine.primitives.activations import POINTWISE
from engine.primitives.convolution import convolution, transposed_convolution
from engine.primitives.dispatch import has_kernel, prepare
from engine.primitives.elementwise import add, maximum, minimum, multiply, tanh
from engine.primitives.fusion import Link, fused
from engine.primitives.indexing import clip
from engine.primitives.linear import matmul
from engine.primitives.normalization import batch_normalization
from engine.primitives.primitive import Primitive, Spec
from engine.tensor import Symbol

HEADS: frozenset[Primitive] = frozenset({convolution, transposed_convolution, matmul, batch_normalization})
FOLLOWERS: frozenset[Primitive] = frozenset({*POINTWISE, clip, tanh, add, multiply, maximum, minimum})


class _Chain:
    """A head and the nodes that follow it, each using the result of the one before and nothing else doing so."""

    def __init__(self, head: Node) -> None:
        self.nodes = [head]

    @property
    def result(self) -> Symbol:
        return self.nodes[-1].outputs[0]


def fuse(graph: Graph, with_depthwise: bool = True) -> None:
    """Replaces chains of nodes by fused nodes, as long as the active device's kernel takes them.

    Args:
        graph: changed in place.
        with_depthwise: whether a chain may hold a second convolution, a depthwise one.
    """
    if not has_kernel(fused):
        return
    assigned = {symbol for symbol, variable in graph.variables.items() if variable in graph.assignments}
    steady = (set(graph.constants) | set(graph.variables)) - assigned

    def accepted(nodes: list[Node]) -> Node | None:
        node = _fused_node(graph, nodes)
        inputs = [Spec(symbol.shape, symbol.dtype, symbol in steady) for symbol in node.inputs]
        outputs = [Spec(symbol.shape, symbol.dtype) for symbol in node.outputs]
        return node if prepare(fused, inputs, outputs, node.options) is not None else None

    made: dict[Node, Node] = {}  # by the last node of a chain, in whose place its fused node comes
    gone: set[Node] = set()
    chains = _chains(graph)
    merged = _merge_depthwise(graph, chains, accepted) if with_depthwise else {}
    for chain in chains:
        if chain.nodes[-1] in merged:
            made[chain.nodes[-1]] = merged[chain.nodes[-1]]
            gone.update(chain.nodes[:-1])
            continue
        while len(chain.nodes) > 1:
            node = accepted(chain.nodes)
            if node is not None:
                made[chain.nodes[-1]] = node
                gone.update(chain.nodes[:-1])
                break
            chain.nodes.pop()
    graph.nodes = [made.get(node, node) for node in graph.nodes if node not in gone]
    replace(graph, {last.outputs[0]: node.outputs[0] for last, node in made.items()})


def _merge_depthwise(
    graph: Graph, chains: list[_Chain], accepted: Callable[[list[Node]], Node | None]
) -> dict[Node, Node]:
    """Joins chains whose head is a depthwise convolution of what a chain with a window of 1 gives.

    Joined chains stay in the list as one. Returns their fused nodes by the last node.
    """
    uses = Uses(graph)
    ends = {chain.result: chain for chain in chains}
    merged: dict[Node, Node] = {}
    for chain in list(chains):
        head = chain.nodes[0]
        before = ends.get(head.inputs[0])
        if before is None or not _is_depthwise(head) or not _is_pointwise(before.nodes[0]) or uses[before.result] != 1:
            continue
        node = accepted([*before.nodes, *chain.nodes])
        if node is not None:
            chain.nodes[:0] = before.nodes
            chains.remove(before)
            merged[chain.nodes[-1]] = node
    return merged


def _is_depthwise(node: Node) -> bool:
    return node.primitive is convolution and node.options.get("groups", 1) == node.inputs[0].shape[-1] > 1


def _is_pointwise(node: Node) -> bool:
    if node.primitive is not convolution or node.options.get("groups", 1) != 1:
        return False
    whole = all(step == 1 for step in node.options["strides"]) and not any(map(any, node.options["padding"]))
    return whole and all(length == 1 for length in node.inputs[1].shape[:-2])


def _chains(graph: Graph) -> list[_Chain]:
    """The longest chains, found from each follower back to the head that it can join."""
    uses = Uses(graph)
    open_chains: dict[Symbol, _Chain] = {}  # by the result that may still be followed
    order = {node: index for index, node in enumerate(graph.nodes)}
    found: list[_Chain] = []
    for node in graph.nodes:
        if node.primitive in HEADS:
            chain = _Chain(node)
            found.append(chain)
        elif node.primitive in FOLLOWERS:
            candidates = [symbol for symbol in node.inputs if symbol in open_chains and _fits(symbol, node)]
            if not candidates:
                continue
            latest = max(candidates, key=lambda symbol: order[symbol.node])
            chain = open_chains.pop(latest)
            chain.nodes.append(node)
        else:
            continue
        if uses[chain.result] == 1:
            open_chains[chain.result] = chain
    return found


def _fits(symbol: Symbol, node: Node) -> bool:
    result = node.outputs[0]
    once = sum(other is symbol for other in node.inputs) == 1
    return once and symbol.shape == result.shape and symbol.dtype == result.dtype


def _fused_node(graph: Graph, nodes: list[Node]) -> Node:
    inputs: list[Symbol] = []
    links = []
    before: Symbol | None = None
    for node in nodes:
        operands: list[int | None] = []
        for symbol in node.inputs:
            if symbol is before:
                operands.append(None)
                continue
            operands.append(len(inputs))
            inputs.append(symbol)
        links.append(Link(node.primitive, tuple(operands), tuple(sorted(node.options.items()))))
        before = node.outputs[0]
    return made_node(graph, fused, inputs, {"chain": tuple(links)})
