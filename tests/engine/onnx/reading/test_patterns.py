"""Patterns: several nodes that are one layer; and networks that only look like it, which stay what they are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from onnx import NodeProto, helper, numpy_helper

from engine.onnx.reading.patterns import rewritten
from tests.engine.onnx.graphs import assert_as_onnxruntime, graph, imported, run

node = helper.make_node
RNG = np.random.default_rng(10)


def number(value: float) -> Any:
    return np.float32(value)


class Pattern(NamedTuple):
    """Nodes from "x" to "y", their constants, what they become, one inner value, and a constant that matters."""

    nodes: list[NodeProto]
    constants: dict[str, Any]
    becomes: str
    inner: str
    other: tuple[str, Any] | None
    shape: tuple[int, ...] = (4,)


ROW = RNG.normal(size=4).astype(np.float32)
WEIGHTS = RNG.normal(size=(4, 4)).astype(np.float32)
KERNEL = RNG.normal(size=(5, 4, 1, 1)).astype(np.float32)
CHANNELS = RNG.normal(size=(1, 5, 1, 1)).astype(np.float32)

GELU = {"r": number(np.sqrt(2)), "one": number(1), "half": number(0.5)}
NORMAL = [
    node("ReduceMean", ["x"], ["m"], axes=[-1]),
    node("Sub", ["x", "m"], ["c"]),
    node("Pow", ["c", "two"], ["q"]),
    node("ReduceMean", ["q"], ["v"], axes=[-1]),
    node("Add", ["v", "e"], ["w"]),
    node("Sqrt", ["w"], ["d"]),
    node("Div", ["c", "d"], ["n"]),
    node("Mul", ["n", "scale"], ["t"]),
    node("Add", ["t", "offset"], ["y"]),
]
PATTERNS = {
    "x times its sigmoid": Pattern(
        [node("Sigmoid", ["x"], ["s"]), node("Mul", ["s", "x"], ["y"])], {}, "Silu", "s", None
    ),
    "x times its hard sigmoid": Pattern(
        [node("HardSigmoid", ["x"], ["s"], alpha=1 / 6, beta=0.5), node("Mul", ["x", "s"], ["y"])],
        {}, "HardSilu", "s", None,
    ),
    "x times a clipped x, divided": Pattern(
        [node("Add", ["x", "three"], ["a"]), node("Clip", ["a", "nought", "six"], ["c"]),
         node("Mul", ["x", "c"], ["p"]), node("Div", ["p", "six"], ["y"])],
        {"three": number(3), "nought": number(0), "six": number(6)}, "HardSilu", "c", ("three", number(2.9)),
    ),
    "x times a half of 1 + erf": Pattern(
        [node("Div", ["x", "r"], ["a"]), node("Erf", ["a"], ["e"]), node("Add", ["e", "one"], ["s"]),
         node("Mul", ["x", "s"], ["p"]), node("Mul", ["p", "half"], ["y"])],
        GELU, "ExactGelu", "s", ("r", number(1.5)),
    ),
    "half of x times 1 + erf": Pattern(
        [node("Mul", ["x", "r"], ["a"]), node("Erf", ["a"], ["e"]), node("Add", ["one", "e"], ["s"]),
         node("Mul", ["half", "x"], ["h"]), node("Mul", ["h", "s"], ["y"])],
        {**GELU, "r": number(np.sqrt(0.5))}, "ExactGelu", "e", ("half", number(0.4)),
    ),
    "a product plus a row": Pattern(
        [node("MatMul", ["x", "k"], ["p"]), node("Add", ["b", "p"], ["y"])], {"k": WEIGHTS, "b": ROW},
        "BiasedMatMul", "p", ("b", RNG.normal(size=(2, 4)).astype(np.float32)),
    ),
    "a convolution plus channels": Pattern(
        [node("Conv", ["x", "k"], ["p"]), node("Add", ["p", "b"], ["y"])], {"k": KERNEL, "b": CHANNELS},
        "Conv", "p", ("b", RNG.normal(size=(1, 5, 1, 3)).astype(np.float32)), (4, 2, 3),
    ),
    "a convolution times channels": Pattern(
        [node("Conv", ["x", "k"], ["p"]), node("Mul", ["p", "b"], ["y"])], {"k": KERNEL, "b": CHANNELS},
        "ScaledConv", "p", ("b", RNG.normal(size=(1, 1, 2, 3)).astype(np.float32)), (4, 2, 3),
    ),
    "a convolution times channels plus channels": Pattern(
        [node("Conv", ["x", "k"], ["p"]), node("Mul", ["p", "b"], ["q"]), node("Add", ["q", "o"], ["y"])],
        {"k": KERNEL, "b": CHANNELS, "o": CHANNELS + 1}, "ScaledConv", "p",
        ("b", RNG.normal(size=(1, 1, 2, 3)).astype(np.float32)), (4, 2, 3),
    ),
    "layer normalisation": Pattern(
        NORMAL, {"two": number(2), "e": number(1e-5), "scale": ROW, "offset": ROW + 1}, "LayerNorm", "v",
        ("scale", RNG.normal(size=(3, 4)).astype(np.float32)), (3, 4),
    ),
}  # fmt: skip


def _checked(pattern: Pattern, constants: dict[str, Any], outputs: list[str]) -> list[str]:
    """The operators after the patterns were looked for; the imported network gives what ONNX Runtime's gives."""
    network = graph(pattern.nodes, {"x": ["N", *pattern.shape]}, outputs, constants, 17)
    x = RNG.normal(size=(2, *pattern.shape)).astype(np.float32)
    assert_as_onnxruntime(network, x, tolerance=2e-5)
    arrays = {item.name: numpy_helper.to_array(item) for item in network.graph.initializer}
    return [item.op_type for item in rewritten(network.graph, arrays)]


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_one_operator(name: str) -> None:
    pattern = PATTERNS[name]
    assert _checked(pattern, pattern.constants, ["y"]) == [pattern.becomes]


@pytest.mark.parametrize("name", PATTERNS)
def test_where_something_else_reads_a_value_within_the_pattern_stays_apart(name: str) -> None:
    pattern = PATTERNS[name]
    found = _checked(pattern, pattern.constants, ["y", pattern.inner])
    assert found == [item.op_type for item in pattern.nodes]


@pytest.mark.parametrize("name", [name for name, pattern in PATTERNS.items() if pattern.other is not None])
def test_with_another_constant_it_is_not_that_pattern(name: str) -> None:
    pattern = PATTERNS[name]
    assert pattern.other is not None
    found = _checked(pattern, {**pattern.constants, pattern.other[0]: pattern.other[1]}, ["y"])
    assert len(found) == len(pattern.nodes)


def test_a_fourth_power_is_no_variance() -> None:
    """ONNX Runtime's own rewriting takes it for one, so that NumPy says what is right."""
    pattern = PATTERNS["layer normalisation"]
    network = graph(pattern.nodes, {"x": ["N", 3, 4]}, ["y"], {**pattern.constants, "two": number(4)}, 17)
    x = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((centred**4).mean(-1, keepdims=True) + 1e-5)
    expected = centred / spread * pattern.constants["scale"] + pattern.constants["offset"]
    np.testing.assert_allclose(run(imported(network), x)[0], expected, rtol=1e-4, atol=1e-5)
