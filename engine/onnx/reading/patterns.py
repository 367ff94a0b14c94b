"""Patterns: what exporters write as several nodes and the engine has as one layer, found before the translation.

A pattern starts at its last node and looks upwards. Values between its nodes have no other reader. The nodes found are
replaced by one of ONNX's own operators, or by one of ours, of the domain "beagle".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.onnx.package import onnx_package
from engine.onnx.reading.node import captured

DOMAIN = "beagle"
"""The domain of operators that only patterns write."""

Replacement = tuple[Any, list[Any]]
"""The node that stands in place, and the nodes that go."""
Pattern = Callable[["Surroundings", Any], "Replacement | None"]

_patterns: dict[str, list[Pattern]] = {}


class Surroundings:
    """Who makes and who reads each value of a graph.

    Args:
        graph: the GraphProto.
        constants: arrays by name.
    """

    def __init__(self, graph: Any, constants: Mapping[str, NDArray[Any]]) -> None:
        self._constants = constants
        self._makers = {name: node for node in graph.node for name in node.output if name}
        self._readers: dict[str, int] = {}
        for node in graph.node:
            for name in (*node.input, *captured(node)):
                self._readers[name] = self._readers.get(name, 0) + 1
        for item in graph.output:
            self._readers[item.name] = self._readers.get(item.name, 0) + 2

    def made_by(self, name: str, *operators: str) -> Any:
        """The node that makes a value for one reader alone, if it is one of these operators; else None."""
        node = self._makers.get(name)
        if node is None or node.op_type not in operators or node.domain not in ("", "ai.onnx"):
            return None
        return node if self._readers.get(name) == 1 and not any(node.output[1:]) else None

    def maker(self, name: str) -> Any:
        """The node that makes a value, whoever reads it; None for inputs and constants."""
        return self._makers.get(name)

    def reader_count(self, name: str) -> int:
        """How many nodes read a value; outputs of the graph count twice."""
        return self._readers.get(name, 0)

    def number(self, name: str) -> float | None:
        """The value of a constant that is one number."""
        array = self._constants.get(name)
        return float(array.ravel()[0]) if array is not None and array.size == 1 and array.dtype.kind in "fiu" else None

    def is_number(self, name: str, value: float) -> bool:
        """Whether a value is this constant."""
        found = self.number(name)
        return found is not None and math.isclose(found, value, rel_tol=1e-3, abs_tol=1e-6)

    def array(self, name: str) -> NDArray[Any] | None:
        """A constant, or None."""
        return self._constants.get(name)

    def other(self, node: Any, name: str) -> str:
        """The second operand of a node of two, given one."""
        return str(node.input[1] if node.input[0] == name else node.input[0])

    def with_number(self, node: Any, value: float) -> str | None:
        """The other operand of a node of two, one of which is this constant."""
        for index in (0, 1):
            if self.is_number(node.input[index], value):
                return str(node.input[1 - index])
        return None


def rewritten(graph: Any, constants: Mapping[str, NDArray[Any]]) -> list[Any]:
    """The nodes of a graph with the patterns found in it replaced, in an order that holds."""
    surroundings = Surroundings(graph, constants)
    replaced: dict[int, Any] = {}
    gone: set[int] = set()
    for node in reversed(graph.node):
        if id(node) in gone or node.domain not in ("", "ai.onnx"):
            continue
        for pattern in _patterns.get(node.op_type, ()):
            try:
                found = pattern(surroundings, node)
            except IndexError:  # some node lacks an operand, which its rule will say
                found = None
            if found is not None and not any(id(item) in gone or id(item) in replaced for item in found[1]):
                replaced[id(node)] = found[0]
                gone.update(id(item) for item in found[1])
                break
    return [replaced.get(id(node), node) for node in graph.node if id(node) not in gone]


def _pattern(*operators: str) -> Callable[[Pattern], Pattern]:
    def register(function: Pattern) -> Pattern:
        for name in operators:
            _patterns.setdefault(name, []).append(function)
        return function

    return register


def _made(node: Any, operator: str, inputs: list[str], domain: str = "", **attributes: Any) -> Any:
    return onnx_package().helper.make_node(
        operator, inputs, list(node.output[:1]), name=node.name, domain=domain, **attributes
    )


def _attribute(node: Any, name: str, default: float) -> float:
    return next((float(item.f) for item in node.attribute if item.name == name), default)


# Activations ---------------------------------------------------------------------------------------------------------


@_pattern("Mul")
def _silu(around: Surroundings, node: Any) -> Replacement | None:
    """x · sigmoid(x)."""
    for name in node.input:
        gate = around.made_by(name, "Sigmoid")
        if gate is not None and gate.input[0] == around.other(node, name):
            return _made(node, "Silu", [gate.input[0]], DOMAIN), [gate]
    return None


@_pattern("Mul")
def _hard_silu_of_gate(around: Surroundings, node: Any) -> Replacement | None:
    """x · hard_sigmoid(x), where hard_sigmoid is x / 6 + 1/2 within 0..1."""
    for name in node.input:
        gate = around.made_by(name, "HardSigmoid")
        if gate is None or gate.input[0] != around.other(node, name):
            continue
        if abs(_attribute(gate, "alpha", 0.2) - 1 / 6) < 1e-6 and _attribute(gate, "beta", 0.5) == 0.5:
            return _made(node, "HardSilu", [gate.input[0]], DOMAIN), [gate]
    return None


@_pattern("Div", "Mul")
def _hard_silu_of_parts(around: Surroundings, node: Any) -> Replacement | None:
    """x · clip(x + 3, 0, 6) / 6, the division last."""
    if node.op_type == "Div":
        name = node.input[0] if around.is_number(node.input[1], 6.0) else None
    else:
        name = around.with_number(node, 1 / 6)
    product = around.made_by(name, "Mul") if name is not None else None
    if product is None:
        return None
    for gate in product.input:
        clip = around.made_by(gate, "Clip")
        shifted = around.made_by(clip.input[0], "Add") if clip is not None else None
        if shifted is None or not _clips(around, clip, 0.0, 6.0):
            continue
        x = around.with_number(shifted, 3.0)
        if x is not None and x == around.other(product, gate):
            return _made(node, "HardSilu", [x], DOMAIN), [product, clip, shifted]
    return None


def _clips(around: Surroundings, node: Any, low: float, high: float) -> bool:
    if len(node.input) > 1:
        return len(node.input) == 3 and around.is_number(node.input[1], low) and around.is_number(node.input[2], high)
    return _attribute(node, "min", -math.inf) == low and _attribute(node, "max", math.inf) == high


@_pattern("Mul")
def _gelu(around: Surroundings, node: Any) -> Replacement | None:
    """x · (erf(x / √2) + 1) / 2, with the half before, between or after."""
    factors = _factors(around, node)
    halves = [name for name in factors[0] if around.is_number(name, 0.5)]
    rest = [name for name in factors[0] if not around.is_number(name, 0.5)]
    if len(halves) != 1 or len(rest) != 2:
        return None
    for name in rest:
        x = rest[1] if name == rest[0] else rest[0]
        sum_ = around.made_by(name, "Add")
        erf = around.made_by(around.with_number(sum_, 1.0) or "", "Erf") if sum_ is not None else None
        scaled = around.made_by(erf.input[0], "Div", "Mul") if erf is not None else None
        if scaled is None or not _is_scaled(around, scaled, x):
            continue
        return _made(node, "ExactGelu", [x], DOMAIN), [*factors[1], sum_, erf, scaled]
    return None


def _is_scaled(around: Surroundings, node: Any, x: str) -> bool:
    """Whether a node is x / √2."""
    if node.op_type == "Div":
        return bool(node.input[0] == x) and around.is_number(node.input[1], math.sqrt(2.0))
    return around.with_number(node, math.sqrt(0.5)) == x


def _factors(around: Surroundings, node: Any) -> tuple[list[str], list[Any]]:
    """The factors of a product of products, and the inner nodes."""
    names: list[str] = []
    inner: list[Any] = []
    for name in node.input:
        product = around.made_by(name, "Mul")
        if product is None:
            names.append(str(name))
        else:
            names += [str(item) for item in product.input]
            inner.append(product)
    return names, inner


# Sums with constants -------------------------------------------------------------------------------------------------


@_pattern("Add")
def _bias(around: Surroundings, node: Any) -> Replacement | None:
    """A matrix product plus a row of constants, or a convolution plus a constant for each channel."""
    for name in node.input:
        product = around.made_by(name, "MatMul", "Conv")
        other = around.other(node, name)
        row = around.array(other)
        weights = around.array(product.input[1]) if product is not None else None
        if product is None or row is None or weights is None or row.dtype.kind != "f":
            continue
        if product.op_type == "MatMul":
            if weights.ndim == 2 and row.shape in ((weights.shape[1],), (1, weights.shape[1])):
                return _made(node, "BiasedMatMul", [*product.input, other], DOMAIN), [product]
        elif len(product.input) == 2 and row.size == weights.shape[0] and _is_per_channel(row, weights.ndim):
            made = _made(node, "Conv", [*product.input, other])
            made.attribute.extend(product.attribute)
            return made, [product]
    return None


@_pattern("Add", "Mul")
def _scaled_convolution(around: Surroundings, node: Any) -> Replacement | None:
    """A convolution times a constant for each channel, plus another: what is left of a normalisation."""
    offset, scaled = "", node
    if node.op_type == "Add":
        index = 0 if around.made_by(node.input[0], "Mul") is not None else 1
        scaled, offset = around.made_by(node.input[index], "Mul"), str(node.input[1 - index])
    if scaled is None:
        return None
    for name in scaled.input:
        product, scale = around.made_by(name, "Conv"), around.other(scaled, name)
        weights = around.array(product.input[1]) if product is not None else None
        if product is None or weights is None:
            continue
        rows = [around.array(item) for item in (scale, offset) if item]
        if all(row is not None and row.size == len(weights) and _is_per_channel(row, weights.ndim) for row in rows):
            inputs = [*product.input, *[""] * (3 - len(product.input)), scale, offset]
            made = _made(node, "ScaledConv", inputs, DOMAIN)
            made.attribute.extend(product.attribute)
            return made, [product] if scaled is node else [product, scaled]
    return None


def _is_per_channel(row: NDArray[Any], rank: int) -> bool:
    shape = (1,) * (rank - row.ndim) + row.shape
    return len(shape) == rank and all(length == 1 for axis, length in enumerate(shape) if axis != 1)


# Normalisation -------------------------------------------------------------------------------------------------------


@_pattern("Add")
def _layer_normalization(around: Surroundings, node: Any) -> Replacement | None:
    """(x - mean) / √(mean of its square + epsilon) · scale + offset over the last axis."""
    for name in node.input:
        offset = around.other(node, name)
        scaled = around.made_by(name, "Mul")
        if scaled is None or not _is_row(around, offset):
            continue
        for quotient in scaled.input:
            scale = around.other(scaled, quotient)
            found = _normalized(around, quotient) if _is_row(around, scale) else None
            if found is not None:
                x, epsilon, inner = found
                made = _made(node, "LayerNorm", [x, scale, offset], DOMAIN, axis=-1, epsilon=epsilon)
                return made, [scaled, *inner]
    return None


def _is_row(around: Surroundings, name: str) -> bool:
    array = around.array(name)
    return array is not None and array.ndim == 1 and array.dtype.kind == "f"


def _normalized(around: Surroundings, name: str) -> tuple[str, float, list[Any]] | None:
    """x, epsilon and the nodes, where a value is (x - mean) / √(variance + epsilon)."""
    quotient = around.made_by(name, "Div")
    root = around.made_by(quotient.input[1], "Sqrt") if quotient is not None else None
    sum_ = around.made_by(root.input[0], "Add") if root is not None else None
    if sum_ is None:
        return None
    for index in (0, 1):
        epsilon = around.number(sum_.input[1 - index])
        variance = around.made_by(sum_.input[index], "ReduceMean")
        square = around.made_by(variance.input[0], "Pow", "Mul") if variance is not None else None
        if epsilon is None or square is None or not _is_last_axis(around, variance):
            continue
        if square.op_type == "Pow" and not around.is_number(square.input[1], 2.0):
            continue
        centred = around.maker(square.input[0])
        readers = 3 if square.op_type == "Mul" else 2
        if square.op_type == "Mul" and square.input[0] != square.input[1]:
            continue
        if centred is None or centred.op_type != "Sub" or centred.output[0] != quotient.input[0]:
            continue
        mean = around.made_by(centred.input[1], "ReduceMean")
        if mean is None or mean.input[0] != centred.input[0] or not _is_last_axis(around, mean):
            continue
        if around.reader_count(centred.output[0]) == readers:
            return str(centred.input[0]), epsilon, [quotient, root, sum_, variance, square, centred, mean]
    return None


def _is_last_axis(around: Surroundings, node: Any) -> bool:
    axes = next((list(item.ints) for item in node.attribute if item.name == "axes"), None)
    if axes is None and len(node.input) > 1:
        array = around.array(node.input[1])
        axes = None if array is None else [int(item) for item in np.ravel(array)]
    keeps = next((item.i for item in node.attribute if item.name == "keepdims"), 1)
    return axes == [-1] and bool(keeps)
