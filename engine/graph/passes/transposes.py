"""Transposes: those of channels-first models sink through what does not mind the order of axes, and cancel."""

from __future__ import annotations

from engine.graph.graph import Graph, Node
from engine.graph.passes.cleaning import is_whole
from engine.graph.passes.rewriting import Uses, made_node, producer, replace
from engine.primitives.activations import POINTWISE
from engine.primitives.casting import cast
from engine.primitives.elementwise import (
    absolute,
    add,
    divide,
    exp,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    sqrt,
    square,
    subtract,
    tanh,
)
from engine.primitives.indexing import clip
from engine.primitives.primitive import Primitive
from engine.primitives.reductions import reduce_max, reduce_mean, reduce_min
from engine.primitives.shaping import concatenate, pad, reduce_sum, transpose
from engine.tensor import Symbol

Axes = tuple[int, ...]

_BINARY = (add, subtract, multiply, divide, maximum, minimum, power)
_UNARY = (negative, absolute, square, sqrt, exp, log, tanh, clip, cast, *POINTWISE)
_ELEMENTWISE: frozenset[Primitive] = frozenset((*_BINARY, *_UNARY))
_REDUCTIONS: frozenset[Primitive] = frozenset({reduce_sum, reduce_mean, reduce_max, reduce_min})


def cancel_transposes(graph: Graph) -> None:
    """Moves transposes towards the outputs, joins neighbours and drops those that change nothing."""
    uses = Uses(graph)
    nodes: list[Node] = []
    replaced: dict[Symbol, Symbol] = {}
    for node in graph.nodes:
        node.inputs = [replaced.get(symbol, symbol) for symbol in node.inputs]
        if node.primitive is transpose:
            axes = tuple(node.options["axes"])
            while (before := producer(node.inputs[0], transpose)) is not None:
                axes = tuple(before.options["axes"][axis] for axis in axes)
                node.inputs = list(before.inputs)
            if axes == tuple(range(len(axes))):
                replaced[node.outputs[0]] = node.inputs[0]
                continue
            node.options = {"axes": axes}
        elif (common := _common_axes(node, uses)) is not None:
            inner = _before_transpose(graph, node, common)
            nodes.append(inner)
            after = _axes_after(node, common)
            if after == tuple(range(len(after))):
                replaced[node.outputs[0]] = inner.outputs[0]
                continue
            outer = made_node(graph, transpose, inner.outputs[:1], {"axes": after})
            replaced[node.outputs[0]] = outer.outputs[0]
            node = outer
        nodes.append(node)
    graph.nodes = nodes
    replace(graph, replaced)


def _common_axes(node: Node, uses: Uses) -> Axes | None:
    """The axes by which all arrays that a node reads were transposed, where it could as well come before that."""
    if node.primitive not in _ELEMENTWISE and node.primitive not in _REDUCTIONS | {pad, concatenate}:
        return None
    found: set[Axes] = set()
    gone = False  # a transpose that nobody needs afterwards: else the array would only move twice
    for symbol in node.inputs:
        before = producer(symbol, transpose)
        if before is not None:
            found.add(tuple(before.options["axes"]))
            gone = gone or uses[symbol] <= sum(other is symbol for other in node.inputs)
        elif is_whole(symbol) or len(symbol.shape) > 1:
            return None
    return found.pop() if len(found) == 1 and gone else None


def _before_transpose(graph: Graph, node: Node, axes: Axes) -> Node:
    """The same node on the arrays as they were before their transpose."""
    inputs = []
    for symbol in node.inputs:
        before = producer(symbol, transpose)
        inputs.append(symbol if before is None else before.inputs[0])
    options = node.options
    if node.primitive is concatenate:
        options = {**options, "axis": axes[options["axis"]]}
    elif node.primitive is pad:
        widths = options["widths"]
        options = {**options, "widths": tuple(widths[axes.index(axis)] for axis in range(len(axes)))}
    elif node.primitive in _REDUCTIONS:
        options = {**options, "axes": tuple(sorted(axes[axis] for axis in options["axes"]))}
    return made_node(graph, node.primitive, inputs, options)


def _axes_after(node: Node, axes: Axes) -> Axes:
    """The transpose that remains to be done after a node that came before its transpose by `axes`."""
    if node.primitive not in _REDUCTIONS or node.options.get("keepdims", False):
        return axes
    kept = [axes[axis] for axis in range(len(axes)) if axis not in node.options["axes"]]
    return tuple(sorted(kept).index(axis) for axis in kept)
