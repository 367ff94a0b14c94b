"""Control flow that is known when the file is read: a branch is taken, a loop is unrolled.

The graph inside a node is translated where the node stands, once for each time it runs; it may read everything around
it. What a network computes with stays a graph without loops, which plans can be made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from engine import ops
from engine.onnx.axes import same, without
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.node import Node
from engine.onnx.reading.value import Value

UNROLLED_LIMIT = 20_000
"""Nodes that all branches and iterations of a file may have together."""


class Body(NamedTuple):
    """A graph inside a node.

    Attributes:
        inputs, outputs: the names of what goes in and comes out.
        nodes: those that the outputs depend on, in order.
        constants: what it holds itself.
    """

    inputs: list[str]
    outputs: list[str]
    nodes: list[Any]
    constants: dict[str, Value]


class Translator(Protocol):
    """The network that the nodes are part of."""

    builder: Builder

    def define(self, name: str, value: Value) -> None:
        """Gives a name to a value."""

    def body(self, graph: Any) -> Body:
        """A graph inside a node, prepared for being translated."""

    def inlined(self, body: Body, given: Mapping[str, Value]) -> list[Value]:
        """The outputs of a graph inside a node for some inputs."""


def take_branch(network: Translator, node: Node) -> None:
    """ONNX's If whose condition is known."""
    condition = node.constant(0, "cond")
    if condition.size != 1 or condition.dtype == object:
        raise ValueError(f"{node.label}: its condition is {condition}; expected one bool")
    body = _body(network, node, "then_branch" if condition.item() else "else_branch")
    if len(body.outputs) < len(node.outputs) or body.inputs:
        raise ValueError(f"{node.label}: its branch has {len(body.outputs)} outputs; expected {len(node.outputs)}")
    _define(network, node, network.inlined(body, {}))


def unroll_loop(network: Translator, node: Node) -> None:
    """ONNX's Loop that runs a known number of times.

    The number is a constant, or follows from conditions that are computed from constants alone.
    """
    body = _body(network, node, "body")
    carried = [node[index] for index in range(2, len(node))]
    scanned = len(body.outputs) - 1 - len(carried)
    if len(body.inputs) != len(carried) + 2 or scanned < 0 or len(node.outputs) > len(body.outputs) - 1:
        raise ValueError(
            f"{node.label} carries {len(carried)} values, and its body has {len(body.inputs)} inputs and "
            f"{len(body.outputs)} outputs"
        )
    limit = None if node.optional(0) is None else _only(node, node.constant(0, "M"), "M")
    is_going = node.optional(1) is None or bool(_only(node, node.constant(1, "cond"), "cond"))
    rows: list[list[Value]] = []
    with network.builder.repeating():
        while is_going and (limit is None or len(rows) < limit):
            first = [_constant(np.asarray(len(rows), np.int64)), _constant(np.asarray(True))]
            goes_on, *results = network.inlined(body, dict(zip(body.inputs, first + carried, strict=True)))
            carried = results[: len(carried)]
            rows.append(results[len(carried) :])
            if goes_on.constant is None:
                node.refuse("whether it goes on is computed when the model runs")
            is_going = bool(_only(node, goes_on.constant, "cond"))
    stacked = [_stacked(network.builder, node, [row[index] for row in rows], 0) for index in range(scanned)]
    _define(network, node, [*carried, *stacked])


def unroll_scan(network: Translator, node: Node) -> None:
    """ONNX's Scan over axes of known length."""
    if node.version < 9:
        node.refuse("the Scan of version 8, which goes over each example, is not supported")
    body = _body(network, node, "body")
    count = node.get("num_scan_inputs", 1)
    states = [node[index] for index in range(len(node) - count)]
    scanned = [node[index] for index in range(len(node) - count, len(node))]
    made = len(body.outputs) - len(states)
    if not scanned or len(body.inputs) != len(node) or made < 0 or len(node.outputs) > len(body.outputs):
        raise ValueError(
            f"{node.label} goes over {count} of {len(node)} inputs, and its body has {len(body.inputs)} inputs and "
            f"{len(body.outputs)} outputs"
        )
    axes = [value.positive(axis) for value, axis in zip(scanned, _each(node, "scan_input_axes", count), strict=True)]
    lengths = {value.static_shape[axis] for value, axis in zip(scanned, axes, strict=True)}
    steps = lengths.pop()
    if lengths or steps is None:
        node.refuse(f"it goes over axes of free or of different lengths: {sorted(map(str, {steps, *lengths}))}")
    for value, axis in zip(scanned, axes, strict=True):
        network.builder.keeps_examples_apart(value, [axis])
    backwards = _each(node, "scan_input_directions", count)
    rows = []
    with network.builder.repeating():
        for step in range(steps):
            entries = [
                _entry(network.builder, value, axis, steps - 1 - step if is_back else step)
                for value, axis, is_back in zip(scanned, axes, backwards, strict=True)
            ]
            results = network.inlined(body, dict(zip(body.inputs, states + entries, strict=True)))
            states = results[: len(states)]
            rows.append(results[len(states) :])
    collected: list[Value | None] = []
    places, turns = _each(node, "scan_output_axes", made), _each(node, "scan_output_directions", made)
    for index, (place, is_back) in enumerate(zip(places, turns, strict=True)):
        column = [row[index] for row in rows]
        collected.append(_stacked(network.builder, node, column[::-1] if is_back else column, place))
    _define(network, node, [*states, *collected])


CONTROL_FLOW: dict[str, Callable[[Translator, Node], None]] = {
    "If": take_branch,
    "Loop": unroll_loop,
    "Scan": unroll_scan,
}
"""What is done with nodes that hold graphs."""


def _body(network: Translator, node: Node, name: str) -> Body:
    graph = node.get(name)
    if graph is None or not hasattr(graph, "sparse_initializer") or graph.sparse_initializer:
        raise ValueError(f"{node.label} lacks {name!r}, or its tensors are sparse")
    return network.body(graph)


def _define(network: Translator, node: Node, values: Sequence[Value | None]) -> None:
    for name, value in zip(node.outputs, values, strict=False):
        if name and value is not None:
            network.define(name, value.renamed(name))


def _constant(array: Any) -> Value:
    return Value("", constant=array)


def _only(node: Node, array: Any, name: str) -> int:
    if array.size != 1:
        raise ValueError(f"{node.label}: {name!r} has {array.size} entries; expected one")
    return int(array.ravel()[0])


def _each(node: Node, name: str, count: int) -> list[int]:
    given = node.get(name) or [0] * count
    if len(given) != count:
        raise ValueError(f"{node.label}: its {name} are {given}; expected {count}")
    return list(given)


def _entry(builder: Builder, value: Value, axis: int, index: int) -> Value:
    """One entry along an axis of the file, which goes."""
    if value.constant is not None:
        return _constant(value.constant.take(index, axis))
    value = builder.with_file_columns(value)
    key = tuple(index if place == axis else slice(None) for place in value.order)
    return Value("", ops.get_item(value.tensor, key), without(value.order, [axis]))


def _stacked(builder: Builder, node: Node, values: list[Value], place: int) -> Value | None:
    """Values side by side along a new axis of the file; behind the batch in ours, so that nothing is moved."""
    if not values:
        return node.refuse("it does not run even once, and what it collects has an unknown shape")
    rank = values[0].rank
    place = place + rank + 1 if place < 0 else place
    if not 0 <= place <= rank or any(value.rank != rank for value in values):
        raise ValueError(f"{node.label} collects values of {rank} axes along axis {place}")
    running = [value for value in values if not value.is_constant]
    if not running:
        return _constant(np.stack([value.constant for value in values if value.constant is not None], place))
    order = builder.with_file_columns(running[0]).order
    tensors = [
        builder.arranged(value, order)
        if value.constant is None
        else builder.held(value.constant.transpose(order), running[0].tensor)
        for value in values
    ]
    where = 1 if rank and builder.batch_axis(running[0]) == order[0] else 0
    moved = [axis + (axis >= place) for axis in order]
    return Value(
        "", ops.stack(tensors, axis=where), tuple([*moved[:where], place, *moved[where:]] if rank else same(1))
    )
