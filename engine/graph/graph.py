"""The graph: a computation as a list of primitives over symbols, in the order in which they were called.

Every symbol is made once. Variables appear as the symbols they are read as and as assignments, which take effect when
the graph has run; a variable read after an assignment inside the graph gives the assigned symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.primitives.casting import cast
from engine.primitives.primitive import Array, Primitive, Spec
from engine.tensor import Symbol, Tensor
from engine.variable import Variable


class Node:
    """One call of a primitive. `outputs` holds its residuals too, after what the caller got."""

    __slots__ = ("inputs", "options", "outputs", "primitive")

    def __init__(self, primitive: Primitive, inputs: list[Symbol], options: dict[str, Any]) -> None:
        self.primitive = primitive
        self.inputs = inputs
        self.options = options
        self.outputs: list[Symbol] = []

    def __repr__(self) -> str:
        shapes = ", ".join(str(symbol.shape) for symbol in self.inputs)
        return f"<node {self.primitive.name}({shapes})>"


class Graph:
    """A captured computation."""

    def __init__(self) -> None:
        self.inputs: list[Symbol] = []
        self.nodes: list[Node] = []
        self.outputs: list[Symbol] = []
        self.constants: dict[Symbol, Array] = {}
        self.variables: dict[Symbol, Variable] = {}
        self.assignments: dict[Variable, Symbol] = {}
        self._reads: dict[Variable, Symbol] = {}
        self._constant_symbols: dict[int, Symbol] = {}

    def input(self, spec: Spec) -> Symbol:
        """A new input of the graph."""
        symbol = Symbol(self, spec.shape, spec.dtype)
        self.inputs.append(symbol)
        return symbol

    def symbol(self, value: Any) -> Symbol:
        """The symbol of an operand: itself, or a constant for a tensor."""
        if isinstance(value, Symbol):
            if value.graph is not self:
                raise RuntimeError("A symbol of one graph was used in another.")
            return value
        if not isinstance(value, Tensor):
            raise TypeError(f"Expected a tensor or a symbol, received {type(value).__name__}.")
        known = self._constant_symbols.get(id(value.array))
        if known is None:
            known = Symbol(self, value.shape, value.dtype)
            self.constants[known] = value.array  # keeps the array, and with it its id, alive
            self._constant_symbols[id(value.array)] = known
        return known

    def record(self, primitive: Primitive, values: Sequence[Any], options: dict[str, Any]) -> tuple[Symbol, ...]:
        """Adds a node; returns its outputs and residuals."""
        inputs = [self.symbol(value) for value in values]
        specs = primitive.infer([Spec(symbol.shape, symbol.dtype) for symbol in inputs], options)
        node = Node(primitive, inputs, options)
        node.outputs = [Symbol(self, spec.shape, spec.dtype, node, index) for index, spec in enumerate(specs)]
        self.nodes.append(node)
        return tuple(node.outputs)

    def read(self, variable: Variable) -> Symbol:
        """The variable's value at this point of the computation."""
        assigned = self.assignments.get(variable)
        if assigned is not None:
            return assigned
        symbol = self._reads.get(variable)
        if symbol is None:
            symbol = Symbol(self, variable.shape, variable.dtype)
            self._reads[variable] = symbol
            self.variables[symbol] = variable
        return symbol

    def assign(self, variable: Variable, value: Any) -> None:
        """From here on the variable has this value; it is stored when the graph has run."""
        if not isinstance(value, (Symbol, Tensor)):
            value = Tensor(np.asarray(value, variable.dtype))
        symbol = self.symbol(value)
        if symbol.dtype != variable.dtype:
            (symbol,) = self.record(cast, [symbol], {"dtype": variable.dtype.name})
        self.assignments[variable] = symbol
