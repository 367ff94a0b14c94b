"""Folding: a batch normalisation with given statistics becomes part of the weights before it."""

from __future__ import annotations

from functools import partial

import numpy as np

from engine.graph.constants import Constants
from engine.graph.graph import Graph, Node
from engine.graph.passes.rewriting import Uses, constant, made_node, replace
from engine.primitives.convolution import convolution, transposed_convolution
from engine.primitives.linear import matmul
from engine.primitives.normalization import batch_normalization
from engine.primitives.primitive import Array
from engine.tensor import Symbol


def fold_batch_normalization(graph: Graph, constants: Constants) -> None:
    """Multiplies weights and shifts biases where a convolution or matrix product feeds nothing but a normalisation."""
    uses = Uses(graph)
    replaced: dict[Symbol, Symbol] = {}
    nodes = []
    for node in graph.nodes:
        node.inputs = [replaced.get(symbol, symbol) for symbol in node.inputs]
        head = _foldable_head(graph, uses, node)
        if head is None:
            nodes.append(node)
            continue
        weights, *bias = (graph.constants[symbol] for symbol in head.inputs[1:])
        mean, variance, gamma, beta = (graph.constants[symbol] for symbol in node.inputs[1:])
        sources = [weights, mean, variance, gamma, beta, *bias]
        # The axis of the weights that is the result's channels.
        axis = -2 if head.primitive is transposed_convolution else -1
        epsilon = node.options["epsilon"]
        make = partial(_folded, *sources, epsilon=epsilon, axis=axis)
        new_weights, new_bias = constants.derive(("fold batch normalization", epsilon, axis), sources, make)
        inputs = [head.inputs[0], constant(graph, new_weights), constant(graph, new_bias)]
        merged = made_node(graph, head.primitive, inputs, head.options)
        replaced[node.outputs[0]] = merged.outputs[0]
        nodes.append(merged)
    graph.nodes = nodes
    replace(graph, replaced)


def _folded(
    weights: Array,
    mean: Array,
    variance: Array,
    gamma: Array,
    beta: Array,
    bias: Array | None = None,
    *,
    epsilon: float,
    axis: int,
) -> tuple[Array, Array]:
    """Weights and bias that give at once what the normalisation made of the former ones' results."""
    scale = gamma / np.sqrt(variance + np.float32(epsilon))
    start = np.float32(0) if bias is None else bias
    return weights * (scale if axis == -1 else scale[:, None]), (start - mean) * scale + beta


def _foldable_head(graph: Graph, uses: Uses, node: Node) -> Node | None:
    """The node before a normalisation whose weights can take it up."""
    if node.primitive is not batch_normalization:
        return None
    head = node.inputs[0].node
    if head is None or uses[node.inputs[0]] != 1 or node.inputs[0].dtype != np.float32:
        return None
    if head.primitive is matmul:
        if head.options.get("transpose_b") or len(head.inputs[1].shape) != 2:
            return None
    elif head.primitive is transposed_convolution:
        if head.options.get("groups", 1) != 1:
            return None
    elif head.primitive is not convolution:
        return None
    known = all(symbol in graph.constants for symbol in (*head.inputs[1:], *node.inputs[1:]))
    return head if known else None
