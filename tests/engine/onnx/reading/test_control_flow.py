"""Loops and scans that run a known number of times are unrolled; the others are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from engine.layers import Dense
from engine.onnx.reading import network as translation
from tests.engine.onnx.graphs import assert_as_onnxruntime, graph, imported

node = helper.make_node
RNG = np.random.default_rng(11)
WEIGHTS = RNG.normal(size=(3, 3)).astype(np.float32)
ROWS = RNG.normal(size=(4, 3)).astype(np.float32)


def inner(nodes: list[NodeProto], inputs: dict[str, Any], outputs: list[str], **constants: Any) -> GraphProto:
    """A graph inside a node: inputs by name as (element type, shape)."""
    return helper.make_graph(
        nodes,
        "body",
        [helper.make_tensor_value_info(name, *form) for name, form in inputs.items()],
        [helper.make_tensor_value_info(name, *inputs.get(name, (1, None))) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )


def cell(goes_on: list[NodeProto], **constants: Any) -> GraphProto:
    """h' = tanh(h · W + x), with x and W of the graph around; h' is collected. `goes_on` makes "c" of "i"."""
    form = {"i": (TensorProto.INT64, []), "go": (TensorProto.BOOL, []), "h": (1, ["N", 3])}
    nodes = [node("MatMul", ["h", "w"], ["p"]), node("Add", ["p", "x"], ["s"]), node("Tanh", ["s"], ["t"]), *goes_on]
    made = inner([*nodes, node("Identity", ["t"], ["seen"])], form, ["c", "t", "seen"], **constants)
    made.output[0].type.tensor_type.elem_type = TensorProto.BOOL
    return made


def loop(body: GraphProto, inputs: list[str], **constants: Any) -> Any:
    return graph(
        [node("Loop", inputs, ["last", "all"], body=body)],
        {"x": ["N", 3]},
        ["last", "all"],
        {"w": WEIGHTS, **{name: np.asarray(value) for name, value in constants.items()}},
    )


ALWAYS = [node("Identity", ["go"], ["c"])]
UNTIL_THREE = [node("Less", ["i", "three"], ["c"])]
LOOPS = {
    "a number of times": (cell(ALWAYS), ["times", "", "x"], 5),
    "until a condition ends it": (cell(UNTIL_THREE, three=3), ["", "yes", "x"], 4),
    "a number of times unless a condition ends it": (cell(UNTIL_THREE, three=3), ["times", "yes", "x"], 4),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_runs(name: str) -> None:
    body, inputs, steps = LOOPS[name]
    network = loop(body, inputs, times=5, yes=True)
    model = imported(network)
    for batch in (1, 2, 5):
        x = RNG.normal(size=(batch, 3)).astype(np.float32)
        assert_as_onnxruntime(network, x, found=model)
    assert model.outputs[1].shape == (steps, None, 3)


def test_the_steps_of_a_loop_share_their_weights() -> None:
    model = imported(loop(cell(ALWAYS), ["times", "", "x"], times=5))
    assert model.count_params() == WEIGHTS.size
    (layer,) = [item for item in model.layers if isinstance(item, Dense)]
    assert len(layer.inbound_nodes) == 5


def test_a_loop_that_ends_when_the_model_says_so_is_refused() -> None:
    data = [node("ReduceSum", ["t"], ["sum"], keepdims=0), node("Less", ["sum", "nought"], ["c"])]
    with pytest.raises(ValueError, match="computed when the model runs"):
        imported(loop(cell(data, nought=np.float32(0)), ["times", "", "x"], times=5))
    form = {"x": ["N", 3], "n": []}
    asked = graph(
        [node("Loop", ["n", "", "x"], ["last", "all"], body=cell(ALWAYS))], form, ["last"], {"w": WEIGHTS},
        dtypes={"n": TensorProto.INT64},
    )  # fmt: skip
    with pytest.raises(ValueError, match="'M' must be a constant"):
        imported(asked)


def test_what_is_unrolled_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "UNROLLED_LIMIT", 60)
    with pytest.raises(ValueError, match="more than 60 nodes"):
        imported(loop(cell(ALWAYS), ["times", "", "x"], times=1 << 40))
    nothing = inner([], {"i": (TensorProto.INT64, []), "go": (TensorProto.BOOL, []), "h": (1, ["N", 3])}, ["go", "h"])
    endless = graph([node("Loop", ["", "", "x"], ["y"], body=nothing)], {"x": ["N", 3]}, ["y"])
    with pytest.raises(ValueError, match="more than 60 nodes"):
        imported(endless)


def test_a_loop_that_never_runs_gives_what_it_was_given() -> None:
    network = graph(
        [node("Loop", ["times", "", "x"], ["last"], body=_without_collection()), node("Neg", ["last"], ["y"])],
        {"x": ["N", 3]},
        ["y"],
        {"w": WEIGHTS, "times": np.asarray(0)},
    )
    assert_as_onnxruntime(network, ROWS)


def _without_collection() -> GraphProto:
    body = cell(ALWAYS)
    del body.output[2]
    return body


@pytest.mark.parametrize("backwards", [0, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_scan_over_rows_of_constants(axis: int, backwards: int) -> None:
    form = {"all": (1, ["N", 3]), "row": (1, [3])}
    nodes = [
        node("Sub", ["all", "row"], ["d"]),
        node("ReduceSumSquare", ["d", "last"], ["square"], keepdims=0),
        node("Add", ["all", "row"], ["next"]),
    ]
    body = inner(nodes, form, ["next", "square"], last=[1])
    scan = node(
        "Scan", ["x", "rows"], ["moved", "squares"], body=body, num_scan_inputs=1, scan_input_axes=[axis],
        scan_input_directions=[backwards], scan_output_axes=[1], scan_output_directions=[backwards],
    )  # fmt: skip
    rows = ROWS if axis == 0 else ROWS.T.copy()
    network = graph([scan], {"x": ["N", 3]}, ["moved", "squares"], {"rows": rows})
    assert_as_onnxruntime(network, RNG.normal(size=(2, 3)).astype(np.float32))


def test_a_scan_over_steps_of_examples() -> None:
    form = {"h": (1, ["N", 3]), "step": (1, ["N", 3])}
    nodes = [node("MatMul", ["h", "w"], ["p"]), node("Add", ["p", "step"], ["s"]), node("Tanh", ["s"], ["t"])]
    body = inner([*nodes, node("Identity", ["t"], ["seen"])], form, ["t", "seen"])
    network = graph(
        [
            node("Gather", ["x", "first"], ["start"], axis=1),
            node("Scan", ["start", "x"], ["last", "every"], body=body, num_scan_inputs=1, scan_input_axes=[1]),
        ],
        {"x": ["N", 4, 3]},
        ["last", "every"],
        {"w": WEIGHTS, "first": np.asarray(0)},
    )
    assert_as_onnxruntime(network, RNG.normal(size=(2, 4, 3)).astype(np.float32))


def test_a_value_that_only_a_branch_reads_stays_though_a_pattern_holds_it() -> None:
    reads = helper.make_graph([node("Neg", ["gate"], ["t"])], "then", [], [helper.make_tensor_value_info("t", 1, None)])
    network = graph(
        [
            node("Sigmoid", ["x"], ["gate"]),
            node("Mul", ["x", "gate"], ["silu"]),
            node("If", ["yes"], ["negative"], then_branch=reads, else_branch=reads),
            node("Add", ["silu", "negative"], ["y"]),
        ],
        {"x": ["N", 3]},
        ["y"],
        {"yes": np.asarray(True)},
    )
    assert_as_onnxruntime(network, ROWS)
