"""What leaves an image behind: flattening, matrices, patches, shuffled channels; without moving the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper

from tests.engine.onnx.graphs import assert_as_onnxruntime, by_onnxruntime, graph, imported, run, transposes

node = helper.make_node
RNG = np.random.default_rng(13)
IMAGE = (3, 4, 6)


def floats(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


CONV = node("Conv", ["x", "k"], ["c"])
KERNEL = floats(4, 3, 1, 1)
WEIGHTS = floats(4 * 4 * 6, 5)
PARAMETERS = {name: RNG.random(size=4 * 4 * 6).astype(np.float32) for name in "sbmv"}
SHUFFLE = [
    node("Reshape", ["c", "apart"], ["p"]),
    node("Transpose", ["p"], ["q"], perm=[0, 2, 1, 3, 4]),
    node("Reshape", ["q", "together"], ["r"]),
]
SHAPES = {"apart": np.asarray([0, 2, 2, 4, 6]), "together": np.asarray([0, -1, 4, 6])}

# Nodes behind the convolution up to "y", constants, and the transposes besides the one of the input.
CASES: dict[str, tuple[list[NodeProto], dict[str, Any], int]] = {
    "a matrix product": ([node("Flatten", ["c"], ["f"]), node("Gemm", ["f", "w"], ["y"])], {"w": WEIGHTS}, 0),
    "a product of a reshaped image": (
        [node("Reshape", ["c", "flat"], ["f"]), node("MatMul", ["f", "w"], ["y"])],
        {"w": WEIGHTS, "flat": np.asarray([-1, 96])}, 0,
    ),
    "columns normalised": (
        [node("Flatten", ["c"], ["f"]), node("BatchNormalization", ["f", *"sbmv"], ["n"]), node("Relu", ["n"], ["r"]),
         node("Gemm", ["r", "w"], ["y"], transB=1)],
        {"w": WEIGHTS.T.copy(), **PARAMETERS}, 0,
    ),
    "columns with constants": (
        [node("Flatten", ["c"], ["f"]), node("Mul", ["f", "s"], ["a"]), node("Add", ["b", "a"], ["d"]),
         node("MatMul", ["d", "w"], ["y"])],
        {"w": WEIGHTS, "s": PARAMETERS["s"], "b": PARAMETERS["b"][None]}, 0,
    ),
    "columns that come out": ([node("Flatten", ["c"], ["y"])], {}, 0),
    "columns beside others": (
        [node("Flatten", ["c"], ["f"]), node("Relu", ["f"], ["g"]), node("Concat", ["f", "g"], ["h"], axis=1),
         node("MatMul", ["h", "w"], ["y"])],
        {"w": np.concatenate([WEIGHTS, WEIGHTS[::-1]])}, 0,
    ),
    "shuffled channels": ([*SHUFFLE, node("Conv", ["r", "k2"], ["z"]), node("GlobalAveragePool", ["z"], ["g"]),
                           node("Flatten", ["g"], ["y"])], {**SHAPES, "k2": floats(5, 4, 1, 1)}, 1),
    "an image and its shuffled one": (
        [*SHUFFLE, node("Concat", ["c", "r"], ["b"], axis=1), node("Conv", ["b", "k2"], ["z"]),
         node("ReduceMean", ["z"], ["y"], axes=[2, 3], keepdims=0)],
        {**SHAPES, "k2": floats(5, 8, 1, 1)}, 1,
    ),
    "patches as rows": (
        [node("Reshape", ["c", "rows"], ["p"]), node("Transpose", ["p"], ["q"], perm=[0, 2, 1]),
         node("MatMul", ["q", "w"], ["y"])],
        {"rows": np.asarray([0, 4, 24]), "w": floats(4, 5)}, 0,
    ),
    "patches and a token": (
        [node("Flatten", ["c"], ["f"]), node("Reshape", ["c", "rows"], ["p"]),
         node("Transpose", ["p"], ["q"], perm=[0, 2, 1]), node("Shape", ["c"], ["all"], end=1),
         node("Concat", ["all", "one", "four"], ["e"], axis=0), node("Expand", ["token", "e"], ["t"]),
         node("Concat", ["t", "q"], ["u"], axis=1), node("Add", ["u", "places"], ["s"]),
         node("Gather", ["s", "first"], ["g"], axis=1), node("Gemm", ["g", "w"], ["y"])],
        {"rows": np.asarray([0, 4, 24]), "w": floats(4, 5), "one": np.asarray([1]), "four": np.asarray([4]),
         "token": floats(1, 1, 4), "places": floats(1, 25, 4), "first": np.asarray(0)}, 0,
    ),
    "squeezed and excited": (
        [node("GlobalAveragePool", ["c"], ["g"]), node("Squeeze", ["g", "image"], ["s"]),
         node("Gemm", ["s", "w"], ["h"]), node("Sigmoid", ["h"], ["q"]), node("Unsqueeze", ["q", "image"], ["u"]),
         node("Mul", ["c", "u"], ["m"]), node("ReduceMean", ["m"], ["y"], axes=[2, 3], keepdims=0)],
        {"image": np.asarray([2, 3]), "w": floats(4, 4)}, 0,
    ),
}  # fmt: skip


def _network(name: str, batch: int | str) -> Any:
    nodes, constants, _ = CASES[name]
    return graph([CONV, *nodes], {"x": [batch, *IMAGE]}, ["y"], {"k": KERNEL, **constants}, 17)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_transposed_behind_the_input(name: str) -> None:
    network = _network(name, "N")
    model = imported(network)
    for batch in (1, 2, 5):
        assert_as_onnxruntime(network, floats(batch, *IMAGE), found=model)
    assert transposes(model) <= 1 + CASES[name][2]


@pytest.mark.parametrize("name", [name for name in CASES if name != "patches and a token"])
def test_a_file_for_one_example_gives_each_its_own(name: str) -> None:
    network = _network(name, 1)
    x = floats(3, *IMAGE)
    expected = np.concatenate([by_onnxruntime(network, row[None])[0] for row in x])
    np.testing.assert_allclose(run(imported(network), x)[0], expected, rtol=1e-4, atol=1e-5)


def test_images_that_come_in_channels_last_are_not_transposed_at_all() -> None:
    from engine.onnx.reading import translated

    network = _network("a matrix product", "N")
    model, _ = translated(network, None, True, None, True, {})
    x = floats(2, *IMAGE)
    (found,) = run(model, np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(found, by_onnxruntime(network, x)[0], rtol=1e-4, atol=1e-5)
    assert transposes(model) == 0
