"""The batch is free, also where the file gives it a length, unless the file's graph mixes examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper

from tests.engine.onnx.graphs import by_onnxruntime, graph, imported, run

node = helper.make_node
RNG = np.random.default_rng(6)


def integers(*numbers: int) -> Any:
    return np.asarray(numbers, np.int64)


MIXING: dict[str, tuple[list[NodeProto], dict[str, Any]]] = {
    "sum over examples": ([node("ReduceSum", ["x", "a"], ["y"])], {"a": integers(0)}),
    "sum over everything": ([node("ReduceSum", ["x"], ["y"], keepdims=0)], {}),
    "position over examples": ([node("ArgMax", ["x"], ["y"], axis=0)], {}),
    "softmax over examples": ([node("Softmax", ["x"], ["y"], axis=0)], {}),
    "norm over examples": ([node("LpNormalization", ["x"], ["y"], axis=0)], {}),
    "running sum of examples": ([node("CumSum", ["x", "a"], ["y"])], {"a": integers(0)}),
    "hardmax over examples": ([node("Hardmax", ["x"], ["y"], axis=0)], {}),
    "largest examples": ([node("TopK", ["x", "k"], ["y", "i"], axis=0)], {"k": integers(1)}),
    "some examples": ([node("Slice", ["x", "s", "e"], ["y"])], {"s": integers(1), "e": integers(2)}),
    "examples backwards": (
        [node("Slice", ["x", "s", "e", "a", "t"], ["y"])],
        {"s": integers(-1), "e": integers(-(1 << 62)), "a": integers(0), "t": integers(-1)},
    ),
    "the second example": ([node("Gather", ["x", "i"], ["y"])], {"i": np.asarray(1)}),
    "examples looked up": ([node("GatherND", ["x", "i"], ["y"])], {"i": integers(1, 2).reshape(1, 2)}),
    "examples overwritten": (
        [node("ScatterND", ["x", "i", "u"], ["y"])],
        {"i": integers(1).reshape(1, 1), "u": np.zeros((1, 3), np.float32)},
    ),
    "more examples": ([node("Pad", ["x", "p"], ["y"])], {"p": integers(1, 0, 0, 0)}),
    "examples repeated": ([node("Tile", ["x", "r"], ["y"])], {"r": integers(2, 1)}),
    "examples joined": ([node("Concat", ["x", "x"], ["y"], axis=0)], {}),
    "examples split": ([node("Split", ["x"], ["p", "q"], axis=0, num_outputs=2), node("Add", ["p", "q"], ["y"])], {}),
    "a triangle of examples": ([node("Trilu", ["x"], ["y"])], {}),
    "a number for each example": ([node("Add", ["x", "k"], ["y"])], {"k": np.asarray([[1], [2]], np.float32)}),
    "a maximum of all": ([node("ReduceMax", ["x"], ["y"])], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXING)
def test_where_examples_are_mixed_the_batch_keeps_its_length(name: str) -> None:
    nodes, constants = MIXING[name]
    network = graph(nodes, {"x": [2, 3]}, ["y"], constants)
    model = imported(network)
    assert model.inputs[0].shape == (2, 3)
    x = RNG.normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(model(x)), by_onnxruntime(network, x)[0], rtol=1e-5, atol=1e-6)


# Of a file for one example (1, 4, 6): what holds for it and would mix examples if there were more.
MIXING_IF_MANY: dict[str, tuple[list[NodeProto], dict[str, Any]]] = {
    "examples times examples": (
        [
            node("Flatten", ["x"], ["f"]),
            node("Transpose", ["f"], ["t"]),
            node("MatMul", ["f", "t"], ["s"]),
            node("MatMul", ["s", "f"], ["y"]),
        ],
        {},
    ),
    "products summed over examples": (
        [
            node("Flatten", ["x"], ["f"]),
            node("Transpose", ["f"], ["t"]),
            node("MatMul", ["t", "f"], ["s"]),
            node("MatMul", ["f", "s"], ["y"]),
        ],
        {},
    ),
    "a formula over two examples": ([node("Einsum", ["x", "x"], ["y"], equation="bij,cij->bij")], {}),
    "each example with every other one": (
        [node("Unsqueeze", ["x", "a"], ["u"]), node("Mul", ["u", "x"], ["m"]), node("ReduceSum", ["m", "a"], ["y"])],
        {"a": integers(1)},
    ),
    "rows and examples joined, then taken apart": (
        [node("Transpose", ["x"], ["t"], perm=[1, 0, 2]), node("Reshape", ["t", "s"], ["y"])],
        {"s": integers(-1, 4, 6)},
    ),
    "rows of all examples, the first two": (
        [
            node("Reshape", ["x", "s"], ["r"]),
            node("Slice", ["r", "from", "to"], ["p"]),
            node("Reshape", ["p", "t"], ["y"]),
        ],
        {"s": integers(-1, 6), "from": integers(0), "to": integers(2), "t": integers(-1, 2, 6)},
    ),
    "an axis that has come first, cut": (
        [
            node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
            node("Slice", ["t", "from", "to"], ["p"]),
            node("Transpose", ["p"], ["y"], perm=[1, 0, 2]),
        ],
        {"from": integers(1), "to": integers(3)},
    ),
    "all axes of length 1 dropped": ([node("Squeeze", ["x"], ["s"]), node("Unsqueeze", ["s", "a"], ["y"])],
                                     {"a": integers(0)}),
    "recurrent over examples": (
        [node("RNN", ["x", "w", "r"], ["o"], hidden_size=2), node("Squeeze", ["o", "a"], ["y"])],
        {"w": np.ones((1, 2, 6), np.float32), "r": np.ones((1, 2, 2), np.float32), "a": integers(1)},
    ),
    "a window over examples": (
        [
            node("Unsqueeze", ["x", "a"], ["u"]),
            node("MaxPool", ["u"], ["m"], kernel_shape=[3, 1], pads=[1, 0, 1, 0]),
            node("Squeeze", ["m", "a"], ["s"]),
            node("Transpose", ["s"], ["y"], perm=[1, 0, 2]),
        ],
        {"a": integers(0)},
    ),
    "the number of examples compared": (
        [
            node("Shape", ["x"], ["n"], end=1),
            node("Equal", ["n", "one"], ["is"]),
            node("Cast", ["is"], ["k"], to=1),
            node("Add", ["x", "k"], ["y"]),
        ],
        {"one": integers(1)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXING_IF_MANY)
def test_a_file_for_one_example_gives_for_each_what_it_gives_for_it_alone(name: str) -> None:
    nodes, constants = MIXING_IF_MANY[name]
    network = graph(nodes, {"x": [1, 4, 6]}, ["y"], constants)
    model = imported(network)
    x = RNG.normal(size=(3, 4, 6)).astype(np.float32)
    rows = [by_onnxruntime(network, row[None])[0] for row in x]
    if model.inputs[0].shape[0] is None:
        np.testing.assert_allclose(np.asarray(model(x)), np.concatenate(rows), rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_allclose(np.asarray(model(x[:1])), rows[0], rtol=1e-4, atol=1e-5)


def _apart(nodes: list[NodeProto], constants: dict[str, Any], shape: list[int]) -> None:
    """A file for one example gives for many what it gives for each."""
    network = graph(nodes, {"x": [1, *shape]}, ["y"], constants)
    model = imported(network)
    assert model.inputs[0].shape[0] is None
    x = RNG.normal(size=(3, *shape)).astype(np.float32)
    expected = np.concatenate([by_onnxruntime(network, row[None])[0] for row in x])
    np.testing.assert_allclose(run(model, x)[0], expected, rtol=1e-5, atol=1e-6)


def test_a_token_of_all_examples_goes_before_each() -> None:
    token = RNG.normal(size=(1, 1, 5)).astype(np.float32)
    _apart([node("Concat", ["k", "x"], ["y"], axis=1)], {"k": token}, [4, 5])


def test_a_token_is_expanded_to_the_batch() -> None:
    nodes = [
        node("Shape", ["x"], ["s"], end=1),
        node("Concat", ["s", "ones"], ["t"], axis=0),
        node("Expand", ["k", "t"], ["e"]),
        node("Concat", ["e", "x"], ["y"], axis=1),
    ]
    constants = {"k": RNG.normal(size=(1, 1, 5)).astype(np.float32), "ones": integers(-1, 1)[1:].repeat(2)}
    _apart(nodes, constants, [4, 5])


def test_everything_that_is_taken_of_a_batch_of_one_is_the_batch() -> None:
    nodes = [node("Slice", ["x", "s", "e"], ["p"]), node("Expand", ["p", "t"], ["y"])]
    _apart(nodes, {"s": integers(0, 1), "e": integers(1, 3), "t": integers(1, 1)}, [4])


def test_a_free_batch_is_counted_and_filled() -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("ConstantOfShape", ["s"], ["o"], value=helper.make_tensor("v", 1, [1], [0.5])),
        node("Add", ["x", "o"], ["p"]),
        node("Gather", ["s", "second"], ["length"]),
        node("Range", ["zero", "length", "one"], ["places"]),
        node("Cast", ["places"], ["numbers"], to=1),
        node("Mul", ["p", "numbers"], ["y"]),
    ]
    constants = {"second": np.asarray(1), "zero": np.asarray(0), "one": np.asarray(1)}
    network = graph(nodes, {"x": ["batch", "time"]}, ["y"], constants)
    model = imported(network)
    for shape in ((2, 3), (4, 7)):
        x = RNG.normal(size=shape).astype(np.float32)
        np.testing.assert_allclose(np.asarray(model(x)), by_onnxruntime(network, x)[0], rtol=1e-5)
