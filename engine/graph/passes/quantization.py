"""Lowering to int8: 8-bit integers with a scale for each value, and for each output channel of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.graph.constants import Constants
from engine.graph.graph import Graph, Node
from engine.graph.labels import labels
from engine.graph.passes.lowering import CARRIERS, FLOAT32, Borders, Form, Lowering
from engine.graph.passes.rewriting import constant, made_node
from engine.primitives.fusion import Chain
from engine.primitives.precision import LARGEST, dequantize, quantize, quantized_weights
from engine.primitives.primitive import Array
from engine.tensor import Symbol


class Range(NamedTuple):
    """The smallest and the largest number that a value takes."""

    minimum: float
    maximum: float


class Statistics(NamedTuple):
    """What int8 needs to know of the values of a model, by label, see `engine.graph.labels`.

    Attributes:
        ranges: a value without one stays in float32.
        means: the mean of each channel. What rounding the weights adds to the results of a mean input is taken off
            the bias again, where the input's means are known (Nagel et al., 2019).
    """

    ranges: Mapping[str, Range]
    means: Mapping[str, Sequence[float]]


def lower_to_int8(graph: Graph, constants: Constants, statistics: Statistics, borders: Borders) -> int:
    """Convolutions and matrix products on quantised arrays; returns how many.

    Args:
        graph: fused, with constant weights; changed in place.
        constants: where quantised weights are kept.
        statistics: of the model's values.
        borders: what to leave in float32.
    """
    return _Int8(graph, constants, statistics, borders).run()


def covering(extent: Range) -> Form:
    """8 bits for a range: uint8 where nothing is negative, else int8 and symmetric."""
    dtype = "uint8" if extent.minimum >= 0 else "int8"
    largest = max(-extent.minimum, extent.maximum)
    return Form(np.dtype(dtype), largest / LARGEST[dtype] if largest > 0 else 1.0)


class _Int8(Lowering):
    def __init__(self, graph: Graph, constants: Constants, statistics: Statistics, borders: Borders) -> None:
        super().__init__(graph, constants, borders)
        self._names = labels(graph)
        self._means = statistics.means
        self._forms = _common_forms(graph, self._names, statistics.ranges)

    def form(self, symbol: Symbol) -> Form | None:
        return self._forms.get(symbol)

    def lowered_weights(self, array: Array) -> tuple[Array, ...]:
        return self.constants.derive("int8", [array], lambda: quantized_weights(array))

    def finished(
        self, node: Node, inputs: list[Symbol], options: dict[str, Any]
    ) -> tuple[list[Symbol], dict[str, Any]]:
        label = self._names.get(node.inputs[0], "")
        means = self._means.get(label)
        if means is None:
            return inputs, options
        chain, scales = options["chain"], options["scales"]
        if len(chain[0].operands) == 2:
            chain = _with_bias(chain)
            scales = (*scales[:2], None, *scales[2:])
            inputs = [*inputs[:2], constant(self.graph, np.zeros(node.outputs[0].shape[-1:], np.float32)), *inputs[2:]]
        weights, bias = self.graph.constants[node.inputs[1]], self.graph.constants[inputs[2]]
        groups = dict(chain[0].options).get("groups", 1)

        def corrected() -> Sequence[Array]:
            rounded, steps = self.weights_of(node)
            change = (rounded * steps - weights).reshape(-1, *weights.shape[-2:]).sum(axis=0)
            each = np.asarray(means, np.float32).reshape(groups, -1)
            return (bias - np.einsum("gi,igo->go", each, change.reshape(len(change), groups, -1)).reshape(-1),)

        (better,) = self.constants.derive(("int8 bias", label), [weights, bias], corrected)
        inputs = [*inputs[:2], constant(self.graph, better), *inputs[3:]]
        return inputs, {**options, "chain": chain, "scales": scales}

    def narrow(self, symbol: Symbol, form: Form) -> Node:
        return made_node(self.graph, quantize, [symbol], {"scale": form.scale, "dtype": form.dtype.name})

    def widen(self, symbol: Symbol, form: Form) -> Node:
        return made_node(self.graph, dequantize, [symbol], {"scale": form.scale})


def _with_bias(chain: Chain) -> Chain:
    """The chain with room for a bias as its input 2."""
    head, *others = chain

    def moved(index: int | None) -> int | None:
        return index if index is None or index < 2 else index + 1

    return (
        head._replace(operands=(0, 1, 2)),
        *(link._replace(operands=tuple(map(moved, link.operands))) for link in others),
    )


def _common_forms(graph: Graph, names: Mapping[Symbol, str], ranges: Mapping[str, Range]) -> dict[Symbol, Form]:
    """A form for each value with a known range; values that only are arranged anew share one, which covers all."""
    group: dict[Symbol, Symbol] = {}

    def leader(symbol: Symbol) -> Symbol:
        while symbol in group:
            symbol = group[symbol]
        return symbol

    for node in graph.nodes:
        if node.primitive in CARRIERS:
            first = leader(node.outputs[0])
            for symbol in node.inputs:
                other = leader(symbol)
                if other is not first:
                    group[other] = first
    extents: dict[Symbol, Range] = {}
    for symbol, name in names.items():
        known = ranges.get(name)
        if known is not None and symbol.dtype == FLOAT32:
            first = leader(symbol)
            before = extents.get(first, known)
            extents[first] = Range(min(before.minimum, known.minimum), max(before.maximum, known.maximum))
    forms = {first: covering(extent) for first, extent in extents.items()}
    return {symbol: forms[leader(symbol)] for symbol in names if leader(symbol) in forms and symbol.dtype == FLOAT32}
