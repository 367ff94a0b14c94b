"""`.h5` files: whole models of Keras 2 and of Keras 3's old writer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import engine
from tests.engine.keras_reference import as_json, keras
from tests.engine.saving.architectures import ARCHITECTURES, Architecture, randomise
from tests.engine.saving.archives import members_of, small_archive, small_model, write_members
from tests.engine.saving.legacy_files import DENSE, DENSE_WEIGHTS, assert_small, dense_model, whole_model

TRAVELLERS = [
    item
    for item in ARCHITECTURES
    if item.name in ("unnamed_input", "residual", "several_as_dictionaries", "shared_layer", "nested", "frozen")
]


@pytest.mark.parametrize("architecture", TRAVELLERS, ids=lambda item: item.name)
def test_a_model_in_kerass_old_format_opens_with_its_layers_and_weights(
    architecture: Architecture, tmp_path: Path
) -> None:
    model = architecture.make(keras)
    randomise(model)
    for name in ("m.h5", "m.keras"):
        model.save(tmp_path / name)
    opened = engine.models.load_model(tmp_path / "m.h5")
    assert [layer.name for layer in opened.layers] == [layer.name for layer in model.layers]
    assert [layer.trainable for layer in opened.layers] == [layer.trainable for layer in model.layers]
    for left, right in zip(model.get_weights(), opened.get_weights(), strict=True):
        np.testing.assert_array_equal(right, np.asarray(left))
    assert as_json(opened.get_config()) == as_json(engine.models.load_model(tmp_path / "m.keras").get_config())


@pytest.mark.parametrize("architecture", TRAVELLERS, ids=lambda item: item.name)
def test_our_old_format_opens_in_keras_and_here_with_its_layers_and_weights(
    architecture: Architecture, tmp_path: Path
) -> None:
    model = architecture.make(engine)
    randomise(model)
    model.save(tmp_path / "m.h5")
    for library in (engine, keras):
        opened = library.models.load_model(tmp_path / "m.h5")
        assert [layer.name for layer in opened.layers] == [layer.name for layer in model.layers]
        for left, right in zip(model.get_weights(), opened.get_weights(), strict=True):
            np.testing.assert_array_equal(np.asarray(right), left)


def test_many_names_are_cut_into_several_attributes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("engine.saving.legacy.writing.ATTRIBUTE_LIMIT", 12)
    small_model().save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert {"layer_names0", "layer_names1"} <= set(file["model_weights"].attrs)
    assert_small(engine.models.load_model(tmp_path / "m.h5"))


def test_a_network_of_keras_2_computes_what_keras_computes(test_data: Path) -> None:
    model = engine.models.load_model(test_data / "keras" / "resnet8_cifar10.h5")
    x = (np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3) * 37 % 251).astype(np.float32)
    expected = np.zeros((2, 10))  # by Keras 3.15 on JAX
    expected[:, 2], expected[:, 3], expected[:, 6] = (0.00039, 0.001), (0.000007, 0.000005), (0.999603, 0.998995)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)
    assert model.optimizer.get_config()["learning_rate"] == pytest.approx(6.6368516e-06)
    assert model.evaluate(x, np.eye(10)[:2], verbose=0, return_dict=True).keys() == {"accuracy", "loss"}


def test_models_of_keras_2_open_from_the_real_files_with_every_weight(test_data: Path) -> None:
    opened = 0
    for path in sorted((test_data / "keras" / "h5").glob("*.h5")):
        with h5py.File(path) as file:
            if "model_config" not in file.attrs:
                continue
            groups = [file["model_weights"][name] for name in file["model_weights"].attrs["layer_names"]]
            saved = [group[name][()] for group in groups for name in group.attrs["weight_names"]]
        weights = engine.models.load_model(path).get_weights()
        for left, right in zip(weights, saved, strict=True):
            np.testing.assert_array_equal(left, right)
        opened += 1
    assert opened == 12


def test_a_recurrent_network_of_keras_2_computes_with_the_sigmoid_of_its_time(test_data: Path) -> None:
    path = test_data / "keras" / "h5" / "simple_lstm_tf_keras_2_model.h5"
    model = engine.models.load_model(path)
    x = np.linspace(-3, 3, 25).reshape(25, 1, 1)
    kernel, _, bias, dense, offset = model.get_weights()
    gate_in, _, candidate, gate_out = np.split(x[:, 0] @ kernel + bias, 4, axis=1)  # the state is zero at first
    cell = np.clip(0.2 * gate_in + 0.5, 0, 1) * np.tanh(candidate)
    expected = np.clip(0.2 * gate_out + 0.5, 0, 1) * np.tanh(cell) @ dense + offset
    np.testing.assert_allclose(model.predict(x, batch_size=25, verbose=0), expected, rtol=1e-5, atol=1e-5)


def test_the_first_layers_input_shape_becomes_the_models(tmp_path: Path) -> None:
    model = engine.models.load_model(dense_model(tmp_path / "m.h5"))
    assert model.input_shape == (None, 3)
    # (1, 2, 3) · kernel + bias, by hand
    np.testing.assert_array_equal(model.predict(np.array([[1.0, 2.0, 3.0]]), verbose=0), [[17.0, 0.0]])


def test_calls_of_keras_2_are_followed_through_nested_models(tmp_path: Path) -> None:
    def entry(kind: str, config: dict[str, Any], *nodes: Any) -> dict[str, Any]:
        return {"class_name": kind, "name": config["name"], "config": config, "inbound_nodes": list(nodes)}

    def placeholder(name: str, length: int | None = 3) -> dict[str, Any]:
        config = {
            "name": name,
            "batch_input_shape": [None, length],
            "dtype": "float32",
            "sparse": False,
            "ragged": False,
        }
        return entry("InputLayer", config)

    twice = {"name": "body", "layers": [placeholder("c", None), {"class_name": "ReLU", "config": {"name": "positive"}}]}
    inner = {
        "name": "inner",
        "layers": [placeholder("b"), entry("Dense", DENSE, [["b", 0, 0, {}]])],
        "input_layers": [["b", 0, 0]],
        "output_layers": [["first", 0, 0]],
    }
    config = {
        "name": "model",
        "layers": [
            placeholder("a"),
            entry("Functional", inner, [["body", 1, 0, {"training": False}]]),
            entry("Sequential", twice, [["a", 0, 0, {}]], [["sum", 0, 0, {}]]),
            entry("Add", {"name": "sum"}, [["inner", 1, 0, {}], ["inner", 1, 0, {}]]),
        ],
        "input_layers": [["a", 0, 0]],
        "output_layers": [["body", 2, 0]],
    }
    path = whole_model(tmp_path / "m.h5", {"class_name": "Model", "config": config}, {"inner": DENSE_WEIGHTS})
    model = engine.models.load_model(path)
    np.testing.assert_array_equal(model.predict(np.array([[1.0, -2.0, 3.0]]), verbose=0), [[26.0, 0.0]])


def test_an_archive_of_keras_2_opens(tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    config = json.loads(members["config.json"])
    placeholder, *layers = config["config"]["layers"]
    placeholder["config"]["batch_input_shape"] = placeholder["config"].pop("batch_shape")
    for entry in layers:
        entry["config"]["dtype"] = "float32"
    layers[1]["config"].update(axis=[3], fused=True)
    config["compile_config"] = {
        "optimizer": {
            "module": "keras.optimizers",
            "class_name": "Adam",
            "config": {"learning_rate": 0.25, "jit_compile": True, "is_legacy_optimizer": False},
            "registered_name": None,
        },
        "loss": "mse",
        "metrics": None,
    }
    metadata = {"keras_version": "2.15.0", "date_saved": "2024-01-01@00:00:00"}
    changed = {**members, "metadata.json": json.dumps(metadata).encode(), "config.json": json.dumps(config).encode()}
    model = engine.models.load_model(write_members(tmp_path / "old.keras", changed))
    assert_small(model)
    assert float(model.optimizer.learning_rate) == 0.25
