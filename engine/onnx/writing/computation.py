"""A model's computation for any length of its free axes: its captures for several samples, laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engine import tree
from engine.graph.capture import capture
from engine.graph.constants import Constants
from engine.graph.graph import Graph, Node
from engine.graph.passes.cleaning import (
    eliminate_common_nodes,
    eliminate_dead_nodes,
    fold_constants,
    freeze_variables,
    strip_trivial_nodes,
)
from engine.graph.passes.padding import fold_padding
from engine.layers.calling import current_path
from engine.onnx.writing.lengths import Lengths, Samples, is_free, merged
from engine.onnx.writing.signature import Signature
from engine.primitives.primitive import Array, Primitive
from engine.primitives.shaping import broadcast_to
from engine.tensor import Symbol

_ADVICE = "Fix the free axes by input_signature."


class Value:
    """An array of the computation: an input, a constant, or a result.

    Attributes:
        shape: lengths, `Free` where they follow from free axes.
        array: of a constant.
        name: of the variable that a constant is, or was made from; "" for others.
        call: what computes it, None for inputs and constants.
    """

    __slots__ = ("array", "call", "dtype", "name", "shape")

    def __init__(
        self,
        shape: Lengths,
        dtype: np.dtype[Any],
        array: Array | None = None,
        name: str = "",
        call: Call | None = None,
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.array = array
        self.name = name
        self.call = call


class Call:
    """One primitive on values. `path` names the layer that it belongs to."""

    __slots__ = ("inputs", "options", "outputs", "path", "primitive")

    def __init__(self, primitive: Primitive, inputs: list[Value], options: dict[str, Any], path: str) -> None:
        self.primitive = primitive
        self.inputs = inputs
        self.options = options
        self.path = path
        self.outputs: list[Value] = []

    def __repr__(self) -> str:
        return f"{self.primitive.name!r} of layer {self.path!r}" if self.path else repr(self.primitive.name)


class Computation(NamedTuple):
    """What a model computes: its calls in order, and its nest of outputs as their indices."""

    inputs: list[Value]
    calls: list[Call]
    outputs: list[Value]
    structure: Any
    samples: Samples


class _LayeredGraph(Graph):
    """A graph that knows the layer of each node."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: dict[Node, str] = {}
        self.names: dict[Symbol, str] = {}

    def record(self, primitive: Primitive, values: Sequence[Any], options: dict[str, Any]) -> tuple[Symbol, ...]:
        outputs = super().record(primitive, values, options)
        self.paths[self.nodes[-1]] = current_path()
        return outputs


def computation(model: Any, signature: Signature) -> Computation:
    """The computation of a model's prediction.

    Raises:
        ValueError: it keeps state between calls, or is another one for other lengths of the free axes.
        CaptureError: it looks at values while it runs.
    """
    samples = signature.samples()
    constants = Constants()
    graphs: list[_LayeredGraph] = []
    structure: Any = None
    with constants.holding():
        for sample in range(len(samples.lengths)):
            graph, structure = _captured(model, signature, samples, sample)
            _clean(graph, constants)
            if graphs and len(graph.nodes) != len(graphs[0].nodes):
                raise _difference(graphs[0], graph)
            graphs.append(graph)
    return _Alignment(model, graphs, samples).run(structure)


def _captured(model: Any, signature: Signature, samples: Samples, sample: int) -> tuple[_LayeredGraph, Any]:
    def call(*leaves: Any) -> Any:
        return model.predicted(tree.pack_sequence_as(signature.nest, list(leaves)))

    graph = _LayeredGraph()
    _, structure = capture(call, *signature.specs(samples, sample), graph=graph)
    if graph.assignments:
        names = ", ".join(repr(variable.path) for variable in graph.assignments)
        raise ValueError(
            f"Model {model.name!r} changes variables while it predicts ({names}), and ONNX files hold no state: make "
            "its layers stateless, and let it draw no random numbers."
        )
    graph.names = {symbol: variable.path for symbol, variable in graph.variables.items()}
    return graph, structure


def _clean(graph: _LayeredGraph, constants: Constants) -> None:
    """The passes that leave a graph of operators as users know them: nothing is bound to kernels."""
    freeze_variables(graph, constants)
    eliminate_dead_nodes(graph)
    strip_trivial_nodes(graph)
    for node in graph.nodes:  # what is made from variables keeps the first one's name
        if node.inputs and all(symbol in graph.constants or symbol in graph.names for symbol in node.inputs):
            named = [graph.names[symbol] for symbol in node.inputs if symbol in graph.names]
            graph.names.update((symbol, named[0]) for symbol in node.outputs if named)
    fold_constants(graph, constants)
    eliminate_common_nodes(graph)
    fold_padding(graph)
    eliminate_dead_nodes(graph)


def _difference(first: _LayeredGraph, other: _LayeredGraph) -> ValueError:
    pairs = zip(first.nodes, other.nodes, strict=False)
    short = min(first.nodes, other.nodes, key=len)[-1:]
    node = next((a for a, b in pairs if a.primitive is not b.primitive), short[0] if short else None)
    where = "" if node is None else f", from {node.primitive.name!r} of layer {first.paths.get(node, '')!r} on"
    return ValueError(f"The model computes in other steps for other lengths of its free axes{where}. {_ADVICE}")


class _Alignment:
    """The walk through all captures at once."""

    def __init__(self, model: Any, graphs: list[_LayeredGraph], samples: Samples) -> None:
        self._model_name = model.name
        self._graphs = graphs
        self._samples = samples
        self._values: dict[Symbol, Value] = {}
        self._calls: list[Call] = []

    def run(self, structure: Any) -> Computation:
        inputs = [self._value(symbols) for symbols in zip(*(graph.inputs for graph in self._graphs), strict=True)]
        for nodes in zip(*(graph.nodes for graph in self._graphs), strict=True):
            self._align(nodes)
        outputs = [self._operand(symbols) for symbols in zip(*(graph.outputs for graph in self._graphs), strict=True)]
        return Computation(inputs, self._calls, outputs, structure, self._samples)

    def _align(self, nodes: tuple[Node, ...]) -> None:
        first, graph = nodes[0], self._graphs[0]
        path = graph.paths.get(first, "").removeprefix(self._model_name).removeprefix("/")
        if any(node.primitive is not first.primitive or len(node.inputs) != len(first.inputs) for node in nodes):
            raise _difference(graph, self._graphs[1])
        inputs = [self._operand(symbols) for symbols in zip(*(node.inputs for node in nodes), strict=True)]
        options = {}
        for key in first.options:
            try:
                options[key] = merged([node.options.get(key) for node in nodes])
            except ValueError as error:
                raise ValueError(
                    f"{first.primitive.name!r} of layer {path!r} has another {key} for other lengths of the model's "
                    f"free axes: {error}. {_ADVICE}"
                ) from None
        call = Call(first.primitive, inputs, options, path)
        call.outputs = [self._value(symbols, call) for symbols in zip(*(node.outputs for node in nodes), strict=True)]
        self._calls.append(call)

    def _value(self, symbols: tuple[Symbol, ...], call: Call | None = None) -> Value:
        value = Value(merged([symbol.shape for symbol in symbols]), symbols[0].dtype, call=call)
        self._values.update(dict.fromkeys(symbols, value))
        return value

    def _operand(self, symbols: tuple[Symbol, ...]) -> Value:
        value = self._values.get(symbols[0])
        if value is None:
            value = self._constant(symbols)
            self._values.update(dict.fromkeys(symbols, value))
        if any(self._values.get(symbol) is not value for symbol in symbols):
            raise _difference(self._graphs[0], self._graphs[1])
        return value

    def _constant(self, symbols: tuple[Symbol, ...]) -> Value:
        pairs = zip(self._graphs, symbols, strict=True)
        arrays = [graph.constants[symbol] for graph, symbol in pairs if symbol in graph.constants]
        if len(arrays) != len(symbols) or len({array.ndim for array in arrays}) != 1:
            raise _difference(self._graphs[0], self._graphs[1])
        first = arrays[0]
        name = self._graphs[0].names.get(symbols[0], "")
        shape = merged([array.shape for array in arrays])
        if not is_free(shape):
            if all(array is first or _equal(array, first) for array in arrays):
                return Value(shape, first.dtype, first, name)
            raise ValueError(f"A constant {shape} is another one for other lengths of the model's free axes. {_ADVICE}")
        # Equal along the free axes: a small array is spread over them.
        part = tuple(slice(0, 1) if is_free((length,)) else slice(None) for length in shape)
        small = first[part]
        if not all(_equal(array, np.broadcast_to(small, array.shape)) for array in arrays):
            raise ValueError(
                f"A constant of shape {first.shape} has other values for other lengths of the model's free axes. "
                f"{_ADVICE}"
            )
        call = Call(broadcast_to, [Value(small.shape, first.dtype, small, name)], {"shape": shape}, "")
        value = Value(shape, first.dtype, call=call)
        call.outputs = [value]
        self._calls.append(call)
        return value


def _equal(a: Array, b: Array) -> bool:
    return bool(np.array_equal(a, b) or (a.shape == b.shape and a.tobytes() == b.tobytes()))
