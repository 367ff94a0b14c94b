"""LSTM, GRU and RNN beside ONNX Runtime's: directions, lengths, states, peepholes, activations, layouts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.engine.onnx.graphs import assert_as_onnxruntime, by_onnxruntime, graph, imported, transposes

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
UNITS, FEATURES, STEPS, BATCH = 4, 3, 5, 3


class Case(NamedTuple):
    operator: str
    direction: str = "forward"
    has_lengths: bool = False
    has_states: bool = False
    has_peepholes: bool = False
    attributes: Mapping[str, Any] = MappingProxyType({})


CASES = {
    "LSTM": Case("LSTM"),
    "LSTM backwards, with lengths": Case("LSTM", "reverse", has_lengths=True),
    "LSTM both ways, with states": Case("LSTM", "bidirectional", has_states=True),
    "LSTM both ways, with everything": Case("LSTM", "bidirectional", True, True, True),
    "LSTM with peepholes": Case("LSTM", has_peepholes=True),
    "LSTM of other activations": Case("LSTM", attributes={"activations": ["Sigmoid", "Softsign", "Softsign"]}),
    "GRU": Case("GRU"),
    "GRU that resets late": Case("GRU", "reverse", attributes={"linear_before_reset": 1}),
    "GRU both ways, that resets late": Case("GRU", "bidirectional", True, True, attributes={"linear_before_reset": 1}),
    "GRU backwards, with states": Case("GRU", "reverse", has_states=True),
    "RNN": Case("RNN", has_states=True),
    "RNN both ways, with lengths": Case("RNN", "bidirectional", has_lengths=True, attributes={
        "activations": ["Relu", "Tanh"]
    }),
}  # fmt: skip


def _network(case: Case, attributes: dict[str, Any] | None = None) -> tuple[Any, list[Any]]:
    """The graph, with the batch second and free, and its inputs."""
    rng = np.random.default_rng(3)
    ways, gates = 2 if case.direction == "bidirectional" else 1, GATES[case.operator]

    def numbers(*shape: int) -> Any:
        return rng.normal(size=shape).astype(np.float32)

    constants = {"W": numbers(ways, gates * UNITS, FEATURES), "R": numbers(ways, gates * UNITS, UNITS)}
    constants["B"] = numbers(ways, 2 * gates * UNITS)
    names = ["x", "W", "R", "B", "", "", "", ""]
    inputs: dict[str, Any] = {"x": [STEPS, "N", FEATURES]}
    arrays = [numbers(STEPS, BATCH, FEATURES)]
    if case.has_lengths:
        names[4], inputs["lengths"] = "lengths", ["N"]
        arrays.append(np.asarray([3, STEPS, 1], np.int32))
    for place, name in ((5, "h"), (6, "c"))[: (2 if case.operator == "LSTM" else 1) * case.has_states]:
        names[place], inputs[name] = name, [ways, "N", UNITS]
        arrays.append(numbers(ways, BATCH, UNITS))
    if case.has_peepholes:
        names[7], constants["P"] = "P", numbers(ways, 3 * UNITS)
    outputs = ["y", "y_h", "y_c"][: 3 if case.operator == "LSTM" else 2]
    while not names[-1]:
        names.pop()
    item = helper.make_node(
        case.operator, names, outputs, hidden_size=UNITS, direction=case.direction, **case.attributes,
        **(attributes or {}),
    )  # fmt: skip
    return graph([item], inputs, outputs, constants, 14, {"lengths": TensorProto.INT32}), arrays


@pytest.mark.parametrize("name", CASES)
def test_a_recurrent_operator_gives_outputs_and_last_states(name: str) -> None:
    network, arrays = _network(CASES[name])
    model = imported(network)
    # The batch is their second axis: predict would cut the first one.
    results = model(arrays if len(arrays) > 1 else arrays[0])
    for result, expected in zip(results, by_onnxruntime(network, *arrays), strict=True):
        np.testing.assert_allclose(np.asarray(result), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_classifier_of_sequences_transposes_nothing(batch: int) -> None:
    """Batch first outside, time first inside, and back: as PyTorch exports it."""
    rng = np.random.default_rng(4)
    node = helper.make_node
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("GRU", ["t", "W", "R"], ["y", "h"], hidden_size=UNITS, linear_before_reset=1),
        node("Squeeze", ["y", "one"], ["z"]),
        node("Transpose", ["z"], ["out"], perm=[1, 0, 2]),
    ]
    weights = {
        "W": rng.normal(size=(1, 3 * UNITS, FEATURES)).astype(np.float32),
        "R": rng.normal(size=(1, 3 * UNITS, UNITS)).astype(np.float32),
        "one": np.asarray([1]),
    }
    network = graph(nodes, {"x": ["N", STEPS, FEATURES]}, ["out"], weights)
    model = assert_as_onnxruntime(network, rng.normal(size=(batch, STEPS, FEATURES)).astype(np.float32))
    assert transposes(model) == 0


REFUSED = {
    "clip": ({"clip": 3.0}, "clipping"),
    "input_forget": ({"input_forget": 1}, "coupled"),
    "activations": ({"activations": ["Affine", "Tanh", "Tanh"]}, "activation Affine"),
    "activations of cell and output": ({"activations": ["Sigmoid", "Tanh", "Relu"]}, "different activations"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_options_that_are_not_supported_are_refused(name: str) -> None:
    attributes, message = REFUSED[name]
    network, _ = _network(Case("LSTM"), attributes)
    with pytest.raises(ValueError, match=message):
        imported(network)


def test_weights_that_do_not_fit_are_named() -> None:
    network, _ = _network(Case("LSTM"), {})
    network.graph.initializer[1].dims[2] = 2
    network.graph.initializer[1].raw_data = network.graph.initializer[1].raw_data[: 4 * 16 * 2]
    with pytest.raises(ValueError, match=r"LSTM 'y': its recurrent weights have the shape \(16, 2\)"):
        imported(network)


def test_states_that_are_zeros_need_no_input() -> None:
    network, arrays = _network(Case("RNN"))
    network.graph.node[0].input.extend(["", "zeros"])
    network.graph.initializer.append(helper.make_tensor("zeros", 1, [1, BATCH, UNITS], [0.0] * BATCH * UNITS))
    model = imported(network)
    assert len(model.inputs) == 1
    np.testing.assert_allclose(np.asarray(model(arrays[0])[0]), by_onnxruntime(network, *arrays)[0], atol=1e-5)
