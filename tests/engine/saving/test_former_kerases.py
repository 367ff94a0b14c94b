"""Files that Keras 1 and TensorFlow's Keras wrote: they open and compute what they computed there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import engine
from engine import tree
from tests.engine.saving.legacy_files import whole_model

DATA = Path(__file__).parents[2] / "data" / "keras"
FILES = sorted(path.name for path in [*DATA.glob("*.h5"), *DATA.glob("*.keras")])


def recorded(file: str, kind: str) -> dict[str, Any]:
    """What is kept of a file's inputs, outputs or optimizer state, in order."""
    with np.load(DATA / "outputs.npz") as outputs:
        prefix = f"{file}/{kind}/"
        return {name[len(prefix) :]: outputs[name] for name in outputs if name.startswith(prefix)}


def results(model: Any, inputs: list[Any]) -> list[Any]:
    """What a model computes, flattened."""
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    return [np.asarray(value.numpy()) for value in tree.flatten(outputs)]


def assert_computes(model: Any, file: str) -> None:
    expected = list(recorded(file, "output").values())
    computed = results(model, list(recorded(file, "input").values()))
    assert len(expected) == len(computed)
    for ours, theirs in zip(computed, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("file", FILES)
def test_a_file_opens_and_computes_what_its_keras_computed(file: str) -> None:
    assert_computes(engine.models.load_model(DATA / file), file)


@pytest.mark.parametrize("file", [name for name in FILES if name.startswith("tf_") and "slices" not in name])
def test_what_was_read_is_saved_in_todays_format_and_reads_the_same(file: str, tmp_path: Path) -> None:
    engine.models.load_model(DATA / file, compile=False).save(tmp_path / "m.keras")
    assert_computes(engine.models.load_model(tmp_path / "m.keras"), file)


@pytest.mark.parametrize("file", [name for name in FILES if "adam" in name or "rmsprop" in name])
def test_the_optimizers_state_is_where_it_was(file: str) -> None:
    optimizer = engine.models.load_model(DATA / file).optimizer
    state = recorded(file, "state")
    ours = [variable.numpy() for variable in optimizer.variables]
    assert int(optimizer.iterations) == 1
    for name, value in state.items():
        assert any(value.shape == known.shape and np.allclose(value, known, atol=1e-7) for known in ours), name


def test_an_architecture_in_yaml_takes_the_weights_of_the_file() -> None:
    model = engine.models.model_from_yaml((DATA / "keras1_merges.yaml").read_text())
    model.load_weights(DATA / "keras1_merges.h5")
    assert_computes(model, "keras1_merges.h5")


# Recurrent layers of cuDNN ----------------------------------------------------------------------------------------


def _as_cudnn(weights: list[Any], gates: int) -> list[Any]:
    """Weights of a plain layer as cuDNN keeps them: each gate's kernel by its columns, two biases in one."""
    kernel, recurrent, bias = weights
    inputs = [np.ascontiguousarray(gate.T).reshape(gate.shape) for gate in np.split(kernel, gates, axis=1)]
    states = [gate.T for gate in np.split(recurrent, gates, axis=1)]
    both = np.concatenate([bias * 0.25, bias * 0.75]) if gates == 4 else bias.reshape(-1)
    return [np.concatenate(inputs, axis=1), np.concatenate(states, axis=1), both]


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3)])
@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_of_cudnn_compute_what_the_plain_layer_computes(
    kind: str, gates: int, wrapped: bool, tmp_path: Path
) -> None:
    entry: dict[str, Any] = {
        "class_name": f"CuDNN{kind}",
        "config": {"name": "r", "units": 4, "return_sequences": True, "go_backwards": False},
    }
    layer = getattr(engine.layers, kind)(4, return_sequences=True)
    if wrapped:
        entry = {"class_name": "Bidirectional", "config": {"name": "r", "layer": entry, "merge_mode": "concat"}}
        layer = engine.layers.Bidirectional(layer)
    entry["config"]["batch_input_shape"] = [None, 5, 3]
    plain = engine.Sequential([engine.Input((5, 3)), layer])
    generator = np.random.default_rng(3)
    values = [generator.normal(size=weight.shape).astype(np.float32) for weight in plain.get_weights()]
    plain.set_weights(values)
    stored = [item for start in range(0, len(values), 3) for item in _as_cudnn(values[start : start + 3], gates)]
    kinds = ("kernel", "recurrent_kernel", "bias")
    names = [f"r/{'forward' if number < 3 else 'backward'}/{kinds[number % 3]}:0" for number in range(len(stored))]
    layers = {"r": dict(zip(names, stored, strict=True))}
    path = whole_model(tmp_path / "m.h5", {"class_name": "Sequential", "config": [entry]}, layers)
    x = [generator.normal(size=(2, 5, 3)).astype(np.float32)]
    np.testing.assert_allclose(
        results(engine.models.load_model(path), x)[0], results(plain, x)[0], rtol=1e-5, atol=1e-6
    )


# Nodes of graphs, and what is refused -----------------------------------------------------------------------------


def _with_layer(path: Path, entry: dict[str, Any], version: bytes = b"2.3.0-tf") -> Path:
    """A functional model whose one layer after the input is given."""
    entry = {"name": "f", "inbound_nodes": [[["x", 0, 0, {}]]], **entry}
    entry["config"] = {"name": entry["name"], "trainable": True, "dtype": "float32", **entry["config"]}
    placeholder = {"name": "x", "batch_input_shape": [None, 4], "dtype": "float32"}
    layers = [{"class_name": "InputLayer", "name": "x", "config": placeholder, "inbound_nodes": []}, entry]
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [[entry["name"], 0, 0]]}
    config = {"class_name": "Model", "config": {"name": "m", "layers": layers, **ends}}
    path = whole_model(path, config, {})
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = version
    return path


def _node(kind: str, constants: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    node = {"name": kind, "op": kind, "input": ["x"], "attr": attributes}
    return {"class_name": "TensorFlowOpLayer", "config": {"name": kind, "node_def": node, "constants": constants}}


X = np.array([[1.0, -2.0, 3.0, -4.0]], np.float32)
NODES: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "a constant on the left": (_node("RealDiv", {"0": 2.0}), lambda x: 2 / x),
    "a constant on the right": (_node("AddV2", {"1": 1.5}), lambda x: x + 1.5),
    "a mean": (_node("Mean", {"1": [1]}, keep_dims={"b": True}), lambda x: x.mean(1, keepdims=True)),
    "a cast": (_node("Cast", {}, DstT={"type": "DT_INT32"}), lambda x: x.astype(np.int32)),
    "a shape": (_node("Reshape", {"1": [-1, 2, 2]}), lambda x: x.reshape(-1, 2, 2)),
    "a slice": (
        _node("StridedSlice", {"1": [0, 1], "2": [0, 4], "3": [1, 2]}, begin_mask={"i": "1"}, end_mask={"i": "1"}),
        lambda x: x[:, 1:4:2],
    ),
}


@pytest.mark.parametrize("name", NODES)
def test_a_node_of_a_graph_computes_with_its_constants(name: str, tmp_path: Path) -> None:
    entry, expected = NODES[name]
    entry = {**entry, "name": f"tf_op_layer_{entry['config']['name']}"}
    config_name = entry["config"]["name"]
    path = _with_layer(tmp_path / "m.h5", entry)
    with h5py.File(path, "r+") as file:  # the layer's name has a beginning that its configuration leaves out
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["name"] = config_name
        file.attrs["model_config"] = json.dumps(config).encode()
    np.testing.assert_allclose(results(engine.models.load_model(path), [X])[0], expected(X), rtol=1e-6)


def _function(name: str, *arguments: Any) -> dict[str, Any]:
    node = ["x", 0, 0, *arguments] if arguments else ["x", 0, 0, {}]
    return {"class_name": "TFOpLambda", "config": {"function": name}, "inbound_nodes": [node]}


REFUSED: dict[str, tuple[dict[str, Any], bytes, str]] = {
    "a function that is not known": (_function("math.bessel_i0"), b"2.5.0", "'math.bessel_i0', which is not supported"),
    "a function of the operating system": (_function("os.system"), b"2.5.0", "'os.system', which is not supported"),
    "options that are not known": (_function("math.cumsum", {"reverse": True}), b"2.5.0", "reversed sums"),
    "parts without number": (_function("split", {"num_or_size_splits": 10**9, "axis": 1}), b"2.5.0", "taken apart"),
    "numbers alone": (
        {**_function("math.exp"), "inbound_nodes": [["_CONSTANT_VALUE", -1, 1.0, {}]]},
        b"2.5.0",
        "on none of the model's tensors",
    ),
    "a node that is not known": (_node("PyFunc", {}), b"2.3.0-tf", "'PyFunc' of a TensorFlow graph"),
    "Python code": (
        {"class_name": "Lambda", "config": {"function": ["4wEA", None, None], "function_type": "lambda"}},
        b"2.4.0",
        "holds Python code",
    ),
    "time first": ({"class_name": "LSTM", "config": {"units": 2, "time_major": True}}, b"2.4.0", "time_major=True"),
    "Theano's ordering": (
        {"class_name": "Convolution2D", "config": {"nb_filter": 2, "nb_row": 3, "nb_col": 3, "dim_ordering": "th"}},
        b"1.2.2",
        "Theano's ordering",
    ),
    "a layer of Keras 1 alone": ({"class_name": "MaxoutDense", "config": {"output_dim": 2}}, b"1.2.2", "MaxoutDense"),
    "a mode of Keras 1": ({"class_name": "BatchNormalization", "config": {"mode": 2}}, b"1.2.2", "mode=2"),
    "a merge by code": ({"class_name": "Merge", "config": {"mode": "x", "mode_type": "lambda"}}, b"1.2.2", "merges"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    entry, version, message = REFUSED[name]
    path = _with_layer(tmp_path / "m.h5", entry, version)
    with pytest.raises((ValueError, TypeError), match=message):
        engine.models.load_model(path)
