"""Lowering to bfloat16: the exponents of float32 with 8 bits of precision, so that no scales are needed."""

from __future__ import annotations

from engine.dtypes import BFLOAT16
from engine.graph.constants import Constants
from engine.graph.graph import Graph, Node
from engine.graph.passes.lowering import FLOAT32, Borders, Form, Lowering
from engine.graph.passes.rewriting import made_node
from engine.primitives.casting import cast
from engine.primitives.primitive import Array
from engine.tensor import Symbol


def lower_to_bfloat16(graph: Graph, constants: Constants) -> int:
    """Convolutions and matrix products on bfloat16 arrays, with float32 sums and biases; returns how many.

    Args:
        graph: fused, with constant weights; changed in place.
        constants: where lowered weights are kept.
    """
    return _Bfloat16(graph, constants, Borders()).run()


class _Bfloat16(Lowering):
    def form(self, symbol: Symbol) -> Form | None:
        return Form(BFLOAT16, None) if symbol.dtype == FLOAT32 else None

    def lowered_weights(self, array: Array) -> tuple[Array, ...]:
        return self.constants.derive("bfloat16", [array], lambda: (array.astype(BFLOAT16),))

    def narrow(self, symbol: Symbol, form: Form) -> Node:
        return made_node(self.graph, cast, [symbol], {"dtype": form.dtype.name})

    def widen(self, symbol: Symbol, form: Form) -> Node:
        return made_node(self.graph, cast, [symbol], {"dtype": FLOAT32.name})
