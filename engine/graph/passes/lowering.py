"""Lowering: rewriting what convolutions and matrix products compute to fewer bits.

Where lowered nodes follow each other they hand lowered arrays on; pooling, reshapes and concatenations in between do
too. At the borders of such regions stand conversions. A node whose kernel declines stays in float32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from engine.dtypes import as_dtype
from engine.graph.constants import Constants
from engine.graph.graph import Graph, Node
from engine.graph.labels import links
from engine.graph.passes.rewriting import Uses, constant, made_node
from engine.primitives.convolution import convolution
from engine.primitives.dispatch import has_kernel, prepare
from engine.primitives.elementwise import add
from engine.primitives.fusion import Chain, Link, fused
from engine.primitives.linear import matmul
from engine.primitives.pooling import max_pooling
from engine.primitives.precision import reduced
from engine.primitives.primitive import Array, Spec
from engine.primitives.shaping import concatenate, reshape
from engine.tensor import Symbol

FLOAT32 = np.dtype(np.float32)
CARRIERS = (max_pooling, reshape, concatenate)
"""Primitives that only choose among numbers or arrange them: they do the same to lowered ones."""

PRODUCTS = (fused, convolution, matmul)
"""Primitives that can be lowered, as far as convolutions or matrix products are concerned."""


def is_fast(dtype: str) -> bool:
    """Whether the active device computes in a dtype, "bfloat16" or "int8", faster than in float32."""
    number, float32 = np.dtype(as_dtype(dtype)), Spec((16,), FLOAT32, True)
    inputs = [Spec((1, 8, 8, 16), number), Spec((1, 1, 16, 16), number, True)]
    scale = 1.0 if dtype == "int8" else None
    options = (("dilation", (1, 1)), ("groups", 1), ("padding", ((0, 0), (0, 0))), ("strides", (1, 1)))
    chain = (Link(convolution, (0, 1), options),)
    taken = {"chain": chain, "scales": (scale, None), "scale": scale, "dtype": dtype}
    return (
        has_kernel(reduced)
        and prepare(reduced, inputs if scale is None else [*inputs, float32], [Spec((1, 8, 8, 16), number)], taken)
        is not None
    )


class Form(NamedTuple):
    """How a float32 value is represented: the dtype, and what its numbers are multiplied with."""

    dtype: np.dtype[Any]
    scale: float | None


class Borders(NamedTuple):
    """Which convolutions and matrix products at the ends of a model stay in float32.

    Attributes:
        first: those that no other comes before.
        last: those that no other follows.
    """

    first: bool = False
    last: bool = False


class Head(NamedTuple):
    """A node that can be lowered: what it computes, and which of its inputs is a residual."""

    chain: Chain
    residual: int | None


class Lowering(ABC):
    """The rewriting that is common to both precisions: regions, borders, conversions."""

    def __init__(self, graph: Graph, constants: Constants, borders: Borders) -> None:
        self.graph = graph
        self.constants = constants
        self._uses = Uses(graph)
        self._heads = self._find_heads()
        self._leave_alone(borders)
        self._weights: dict[Symbol, tuple[Array, ...]] = {}
        self._handed_on: set[Symbol] = set()  # values that their maker should give in lowered form
        self._narrow: dict[Symbol, Symbol] = {}  # the lowered form of a value, where there is one
        self._wide: dict[Symbol, Symbol] = {}  # its float32 form, where that is another symbol than before
        self._only_narrow: set[Symbol] = set()  # values whose maker gives the lowered form alone
        self._nodes: list[Node] = []

    def run(self) -> int:
        """Rewrites the graph; returns how many convolutions and matrix products are lowered."""
        self._choose()
        for node in self.graph.nodes:
            if node in self._heads:
                self._lower(node)
            elif not self._carry(node):
                node.inputs = [self._widened(symbol) for symbol in node.inputs]
                self._nodes.append(node)
        self.graph.outputs = [self._widened(symbol) for symbol in self.graph.outputs]
        self.graph.nodes = self._nodes
        return len(self._heads)

    # What a precision decides ----------------------------------------------------------------------

    @abstractmethod
    def form(self, symbol: Symbol) -> Form | None:
        """How a value is represented; None: it must stay in float32."""

    @abstractmethod
    def lowered_weights(self, array: Array) -> tuple[Array, ...]:
        """Weights, and after them the scales of their output channels where they have some."""

    @abstractmethod
    def narrow(self, symbol: Symbol, form: Form) -> Node:
        """A node that converts from float32."""

    @abstractmethod
    def widen(self, symbol: Symbol, form: Form) -> Node:
        """A node that converts to float32."""

    def finished(
        self, node: Node, inputs: list[Symbol], options: dict[str, Any]
    ) -> tuple[list[Symbol], dict[str, Any]]:
        """The last word on what a lowered node reads, and on its options."""
        return inputs, options

    # Choosing --------------------------------------------------------------------------------------

    def _find_heads(self) -> dict[Node, Head]:
        found = {}
        for node in self.graph.nodes:
            if node.primitive not in PRODUCTS or node.outputs[0].dtype != FLOAT32:
                continue
            chain = links(node)
            head, options = chain[0], dict(chain[0].options)
            known = all(node.inputs[index] in self.graph.constants for index in head.operands[1:] if index is not None)
            turned = options.get("transpose_a") or options.get("transpose_b")
            is_product = head.primitive is convolution or (
                head.primitive is matmul and not turned and len(node.inputs[1].shape) == 2
            )
            if is_product and known and node.inputs[0].dtype == FLOAT32:
                found[node] = Head(chain, self._residual(node, chain))
        return found

    def _residual(self, node: Node, chain: Chain) -> int | None:
        """The computed input that the first link after the head adds as a whole."""
        if len(chain) < 2 or chain[1].primitive is not add:
            return None
        for index in chain[1].operands:
            if index is not None and node.inputs[index] not in self.graph.constants:
                return index if node.inputs[index].shape == node.outputs[0].shape else None
        return None

    def _leave_alone(self, borders: Borders) -> None:
        behind: set[Symbol] = set()  # values that a convolution or matrix product had a part in
        ahead: set[Symbol] = set()  # values that have a part in one
        first, last = [], []
        for node in self.graph.nodes:
            is_behind = any(symbol in behind for symbol in node.inputs)
            if node in self._heads and not is_behind:
                first.append(node)
            if node in self._heads or is_behind:
                behind.update(node.outputs)
        for node in reversed(self.graph.nodes):
            is_ahead = any(symbol in ahead for symbol in node.outputs)
            if node in self._heads and not is_ahead:
                last.append(node)
            if node in self._heads or is_ahead:
                ahead.update(node.inputs)
        for node in (*(first if borders.first else ()), *(last if borders.last else ())):
            self._heads.pop(node, None)

    def _choose(self) -> None:
        """From the outputs backwards: which nodes a kernel takes, and which values are handed on lowered."""
        for node in reversed(self.graph.nodes):
            if node in self._heads:
                if not self._choose_head(node):
                    del self._heads[node]
            elif node.outputs[0] in self._handed_on and self._can_carry(node):
                self._handed_on.update(node.inputs)

    def _choose_head(self, node: Node) -> bool:
        result = node.outputs[0]
        if self.form(node.inputs[0]) is None:
            return False
        if result in self._handed_on and not (self.form(result) is not None and self._is_taken(node)):
            self._handed_on.discard(result)
        if result not in self._handed_on and not self._is_taken(node):
            return False
        self._handed_on.update(node.inputs[index] for index in self._narrow_inputs(node))
        return True

    def _can_carry(self, node: Node) -> bool:
        if node.primitive is not max_pooling:
            return node.primitive in CARRIERS
        form = self.form(node.inputs[0])
        if form is None or self._uses[node.outputs[1]]:
            return False
        source, result = (Spec(symbol.shape, form.dtype) for symbol in (node.inputs[0], node.outputs[0]))
        return prepare(max_pooling, [source], [result, None], node.options) is not None

    def _narrow_inputs(self, node: Node) -> list[int]:
        """The places of the inputs that a lowered node takes in lowered form, the weights aside."""
        residual = self._heads[node].residual
        # The residual lies where the result will: it has the same width.
        if residual is None or node.outputs[0] not in self._handed_on or self.form(node.inputs[residual]) is None:
            return [0]
        return [0, residual]

    def _is_taken(self, node: Node) -> bool:
        """Whether a kernel would compute a node lowered."""
        arrays = self.weights_of(node)
        specs = [Spec(s.shape, s.dtype, s in self.graph.constants) for s in node.inputs]
        for index in self._narrow_inputs(node):
            form = self.form(node.inputs[index])
            assert form is not None
            specs[index] = Spec(node.inputs[index].shape, form.dtype)
        weights, *scales = (Spec(array.shape, array.dtype, True) for array in arrays)
        specs = [specs[0], weights, *specs[2:], *scales]
        options = self._options(node)
        return prepare(reduced, specs, reduced.infer(specs, options), options) is not None

    def _options(self, node: Node) -> dict[str, Any]:
        scales: list[float | None] = [None] * len(node.inputs)
        for index in self._narrow_inputs(node):
            form = self.form(node.inputs[index])
            scales[index] = None if form is None else form.scale
        form = self.form(node.outputs[0]) if node.outputs[0] in self._handed_on else None
        dtype, scale = form or (FLOAT32, None)
        return {"chain": self._heads[node].chain, "scales": tuple(scales), "scale": scale, "dtype": dtype.name}

    def weights_of(self, node: Node) -> tuple[Array, ...]:
        """What `lowered_weights` makes of a node's weights, made once."""
        symbol = node.inputs[1]
        if symbol not in self._weights:
            self._weights[symbol] = self.lowered_weights(self.graph.constants[symbol])
        return self._weights[symbol]

    # Rewriting -------------------------------------------------------------------------------------

    def _lower(self, node: Node) -> None:
        result, taken = node.outputs[0], self._narrow_inputs(node)
        weights, *scales = (constant(self.graph, array) for array in self.weights_of(node))
        inputs = [
            weights if index == 1 else self._narrowed(symbol) if index in taken else self._widened(symbol)
            for index, symbol in enumerate(node.inputs)
        ]
        inputs, options = self.finished(node, inputs, self._options(node))
        made = self._append(made_node(self.graph, reduced, [*inputs, *scales], options))
        if result in self._handed_on:
            self._narrow[result] = made
            self._only_narrow.add(result)
        else:
            self._wide[result] = made

    def _carry(self, node: Node) -> bool:
        """Moves a node that only arranges numbers into the region that it follows, where one follows it too."""
        result = node.outputs[0]
        if result not in self._handed_on or not any(symbol in self._narrow for symbol in node.inputs):
            return False
        if not self._can_carry(node) or any(self.form(symbol) is None for symbol in node.inputs):
            return False
        inputs = [self._narrowed(symbol) for symbol in node.inputs]
        self._narrow[result] = self._append(made_node(self.graph, node.primitive, inputs, node.options))
        self._only_narrow.add(result)
        return True

    def _narrowed(self, symbol: Symbol) -> Symbol:
        if symbol not in self._narrow:
            form = self.form(symbol)
            assert form is not None
            self._narrow[symbol] = self._append(self.narrow(self._widened(symbol), form))
        return self._narrow[symbol]

    def _widened(self, symbol: Symbol) -> Symbol:
        if symbol in self._only_narrow and symbol not in self._wide:
            form = self.form(symbol)
            assert form is not None
            self._wide[symbol] = self._append(self.widen(self._narrow[symbol], form))
        return self._wide.get(symbol, symbol)

    def _append(self, node: Node) -> Symbol:
        self._nodes.append(node)
        return node.outputs[0]
