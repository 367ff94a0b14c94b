"""Behind a convolution images lie channels-last: every rule that takes axes finds them there, without transposing.

Each network is a convolution and one operator. It may transpose its input, and its output where that is an image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper

from tests.engine.onnx.graphs import by_onnxruntime, graph, imported, run, transposes

node = helper.make_node
RNG = np.random.default_rng(5)
KERNEL = RNG.normal(size=(4, 3, 1, 1)).astype(np.float32)
SHAPE = (2, 3, 4, 6)  # of the input; the convolution gives (2, 4, 4, 6)


def integers(*numbers: int) -> Any:
    return np.asarray(numbers, np.int64)


# The operator's nodes from "c" to "y", the constants that they read, and how many transposes there are.
CASES: dict[str, tuple[list[NodeProto], dict[str, Any], int]] = {
    "mean over the image": ([node("ReduceMean", ["c", "a"], ["y"], keepdims=0)], {"a": integers(2, 3)}, 1),
    "mean over the image, kept": ([node("ReduceMean", ["c", "a"], ["y"])], {"a": integers(-1, -2)}, 2),
    "sum over channels": ([node("ReduceSum", ["c", "a"], ["y"])], {"a": integers(1)}, 2),
    "sum over channels, dropped": ([node("ReduceSum", ["c", "a"], ["y"], keepdims=0)], {"a": integers(1)}, 1),
    "maximum over rows, dropped": ([node("ReduceMax", ["c", "a"], ["y"], keepdims=0)], {"a": integers(2)}, 2),
    "norm over channels": ([node("ReduceL2", ["c", "a"], ["y"])], {"a": integers(1)}, 2),
    "log-sum-exp over columns": ([node("ReduceLogSumExp", ["c", "a"], ["y"])], {"a": integers(3)}, 2),
    "argmax of channels": ([node("ArgMax", ["c"], ["y"], axis=1, keepdims=0)], {}, 1),
    "last argmin of rows": ([node("ArgMin", ["c"], ["y"], axis=2, select_last_index=1)], {}, 2),
    "running sum of channels": ([node("CumSum", ["c", "a"], ["y"], reverse=1, exclusive=1)], {"a": integers(1)[0]}, 2),
    "largest channels": ([node("TopK", ["c", "k"], ["y", "i"], axis=1)], {"k": integers(2)}, 2),
    "slice of channels": (
        [node("Slice", ["c", "s", "e", "a", "t"], ["y"])],
        {"s": integers(3, 1), "e": integers(-(1 << 62), 5), "a": integers(1, 3), "t": integers(-2, 2)},
        2,
    ),
    "rows from before the first one, backwards": (
        [node("Slice", ["c", "s", "e", "a", "t"], ["y"])],
        {"s": integers(-9, 4), "e": integers(-(1 << 62), -9), "a": integers(2, 3), "t": integers(-1, -2)},
        2,
    ),
    "split of channels": ([node("Split", ["c", "s"], ["p", "q"], axis=1), node("Concat", ["q", "p"], ["y"], axis=1)],
                          {"s": integers(1, 3)}, 2),
    "one channel": ([node("Gather", ["c", "i"], ["y"], axis=1)], {"i": np.asarray(-1)}, 1),
    "some channels": ([node("Gather", ["c", "i"], ["y"], axis=1)], {"i": integers(2, 0, 0)}, 2),
    "columns in a table": ([node("Gather", ["c", "i"], ["y"], axis=3)], {"i": integers(2, 0, 0, 1).reshape(2, 2)}, 2),
    "zeros around": ([node("Pad", ["c", "p"], ["y"])], {"p": integers(0, 0, 1, 2, 0, 0, 3, 0)}, 2),
    "channels around": ([node("Pad", ["c", "p", "v"], ["y"])],
                        {"p": integers(0, 1, 0, 0, 0, 2, 0, 0), "v": np.float32(2.5)}, 2),
    "edges around": ([node("Pad", ["c", "p"], ["y"], mode="edge")], {"p": integers(0, 0, 1, 2, 0, 0, 3, 0)}, 2),
    "wrapped": ([node("Pad", ["c", "p"], ["y"], mode="wrap")], {"p": integers(0, 1, 1, 0, 0, 0, 2, 0)}, 2),
    "crop": ([node("Pad", ["c", "p"], ["y"])], {"p": integers(0, -1, 0, 1, 0, 0, -2, 0)}, 2),
    "tiles": ([node("Tile", ["c", "r"], ["y"])], {"r": integers(1, 2, 1, 3)}, 2),
    "expansion": ([node("ReduceMean", ["c", "a"], ["m"]), node("Expand", ["m", "e"], ["y"])],
                  {"a": integers(1, 2), "e": integers(1, 5, 2, 1)}, 2),
    "blocks": ([node("DepthToSpace", ["c"], ["y"], blocksize=2, mode="CRD")], {}, 2),
    "channels of blocks": ([node("SpaceToDepth", ["c"], ["y"], blocksize=2)], {}, 2),
    "hardmax of channels": ([node("Hardmax", ["c"], ["y"], axis=1)], {}, 2),
    "constant for each channel": ([node("Sub", ["k", "c"], ["y"])], {"k": KERNEL[:, :1, :, 0]}, 2),
    "constant for each row": ([node("Div", ["c", "k"], ["y"])], {"k": np.asarray([[1], [2], [3], [4]], np.float32)}, 2),
    "own mean taken off": ([node("ReduceMean", ["c", "a"], ["m"]), node("Sub", ["c", "m"], ["y"])],
                           {"a": integers(2, 3)}, 2),
    "selection by channel": (
        [node("Greater", ["c", "z"], ["g"]), node("Where", ["g", "c", "k"], ["y"])],
        {"z": np.float32(0), "k": KERNEL[:, :1, :, 0]},
        2,
    ),
    "square, root, limits": (
        [node("Pow", ["c", "two"], ["p"]), node("Sqrt", ["p"], ["r"]), node("Clip", ["r", "", "two"], ["y"])],
        {"two": np.float32(2)},
        2,
    ),
    "triangles": ([node("Trilu", ["c"], ["y"], upper=0)], {}, 2),
    "many operands": ([node("Max", ["c", "k", "x2"], ["y"]), ], {"k": KERNEL[:, :1, :, 0], "x2": np.float32(0.1)}, 2),
}  # fmt: skip


def _network(name: str, batch: int | str) -> Any:
    nodes, constants, _ = CASES[name]
    outputs = ["y"]
    return graph(
        [node("Conv", ["x", "w"], ["c"]), *nodes], {"x": [batch, *SHAPE[1:]]}, outputs, {"w": KERNEL, **constants}
    )


@pytest.mark.parametrize("name", CASES)
def test_axes_are_followed_and_nothing_is_transposed_on_the_way(name: str) -> None:
    x = RNG.normal(size=SHAPE).astype(np.float32)
    network = _network(name, "N")
    model = imported(network)
    (expected,) = by_onnxruntime(network, x)
    (found,) = run(model, x)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert transposes(model) <= CASES[name][2]


@pytest.mark.parametrize("name", CASES)
def test_a_file_for_one_example_takes_many(name: str) -> None:
    x = RNG.normal(size=SHAPE).astype(np.float32)
    network = _network(name, 1)
    expected = np.concatenate([by_onnxruntime(network, row[None])[0] for row in x])
    (found,) = run(imported(network), x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
