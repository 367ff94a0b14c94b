"""Reports on Keras's files: what they hold and what is not supported, told without building anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine.inspection import Part, Tensor, inspect_file
from engine.layers.extensions import LocalResponseNormalization
from tests.engine.saving.archives import small_archive, small_model, with_layer
from tests.engine.saving.legacy_files import dense_model

DATA = Path(__file__).parents[2] / "data" / "keras"


def nested_model() -> Any:
    layers = engine.layers
    inner = engine.Sequential([engine.Input((3,)), layers.Dense(2, name="core")], name="inner")
    a = engine.Input((3,), name="a")
    return engine.Model(a, layers.Activation("softmax", name="end")(layers.Dense(4, name="last")(inner(a))))


@pytest.mark.parametrize("name", ["m.keras", "folder", "m.h5"])
def test_layers_shapes_and_parameters_are_told_of_every_format(name: str, tmp_path: Path) -> None:
    model = nested_model()
    model.compile("adam", "mse")
    model.save(tmp_path / name, zipped=False if name == "folder" else None)
    report = inspect_file(tmp_path / name)
    assert report.supported
    assert report.written_by == "Keras 3.15.1"
    assert report.inputs == (Tensor("a", (None, 3), "float32"),)
    assert report.outputs == (Tensor("end", (None, 4), "float32"),)
    assert report.parameters == model.count_params() == sum(part.parameters for part in report.parts)
    assert {part.name: part.parameters for part in report.parts if part.parameters} == {"inner/core": 8, "last": 12}
    assert report.parts[-1] == Part("end", "Activation", 0, (None, 4), None)
    assert report.notes[0].startswith("Compiled with Adam and the loss mse, with")
    assert report.size_bytes > 1000


def test_nothing_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = small_archive(tmp_path / "m.keras")
    parameters = small_model().count_params()

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a model was built, or a value read")

    monkeypatch.setattr("engine.layers.layer.Layer.__init__", refuse)
    monkeypatch.setattr("engine.saving.hdf5.read_array", refuse)
    assert inspect_file(path).parameters == parameters


def test_what_is_not_supported_is_told_layer_by_layer(tmp_path: Path) -> None:
    path = with_layer(
        tmp_path / "m.keras",
        {"module": "mine", "class_name": "Strange", "config": {"name": "s"}, "registered_name": "pkg>Strange"},
    )
    report = inspect_file(path)
    assert not report.supported
    assert [part.name for part in report.parts if part.problem] == ["s"]
    assert "s (Strange): Unknown class or function 'Strange'" in report.problems[0]
    with engine.saving.custom_object_scope({"Strange": engine.layers.Identity}):
        assert inspect_file(path).supported


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_layers_that_keras_does_not_have_are_told(name: str, tmp_path: Path) -> None:
    core = LocalResponseNormalization(3)
    inner = engine.Sequential([engine.Input((4, 4, 3)), core], name="inner")
    engine.Sequential([engine.Input((4, 4, 3)), inner, engine.layers.Flatten()]).save(tmp_path / name)
    report = inspect_file(tmp_path / name)
    assert report.supported
    assert "layers of ours, so that Keras itself cannot open it: LocalResponseNormalization" in report.notes


def test_weights_alone_are_listed_and_say_what_they_are(tmp_path: Path) -> None:
    small_model().save_weights(tmp_path / "w.weights.h5")
    small_model().save_weights(tmp_path / "s.weights.json", max_shard_size=2e-7)
    whole, shards = inspect_file(tmp_path / "w.weights.h5"), inspect_file(tmp_path / "s.weights.json")
    for report in (whole, shards):
        assert not report.supported
        assert "weights alone" in report.problems[0]
        assert report.parameters == small_model().count_params()
        assert Part("layers/dense/vars/1", "weight", 3, (3,)) in report.parts
    assert shards.size_bytes > whole.size_bytes


def test_files_of_other_kerases_are_told_by_what_they_say() -> None:
    report = inspect_file(DATA / "keras1_merges.h5")
    assert (report.written_by, report.supported) == ("Keras 1.2.2", True)
    assert [tensor.shape for tensor in report.inputs] == [(None, 4), (None, 4)]
    assert inspect_file(DATA / "tf_states.keras").written_by == "Keras 2.21.0"
    assert {part.kind for part in inspect_file(DATA / "tf_arithmetic.h5").parts} == {"InputLayer", "TFOpLambda"}


def test_the_content_decides_what_a_file_is(tmp_path: Path) -> None:
    dense_model(tmp_path / "m.model")
    assert inspect_file(tmp_path / "m.model").format == "Keras HDF5 model"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x89HDF\r\n\x1a\n and no more", b"text"])
@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_damaged_files_are_refused(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        inspect_file(tmp_path / name)


def test_hostile_configurations_are_refused(tmp_path: Path) -> None:
    for config in ([], {"class_name": 3, "config": {}}, {"class_name": "X", "config": {"layers": [7]}}):
        folder = tmp_path / "folder"
        small_model().save(folder, zipped=False)
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match="folder"):
            inspect_file(folder)


def test_an_absent_file_is_said_to_be_absent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"m\.keras"):
        inspect_file(tmp_path / "m.keras")


def test_convolutions_are_followed_to_the_output(tmp_path: Path) -> None:
    layers = engine.layers
    stack = [
        layers.Conv2D(4, 3, strides=2, padding="same"),
        layers.MaxPooling2D(2),
        layers.ZeroPadding2D(1),
        layers.DepthwiseConv2D(2, depth_multiplier=2),
        layers.GlobalAveragePooling2D(),
    ]
    model = engine.Sequential([engine.Input((17, 12, 3)), *stack])
    model.save(tmp_path / "m.h5")
    shapes = [part.shape for part in inspect_file(tmp_path / "m.h5").parts[1:]]
    x = np.zeros((1, 17, 12, 3), np.float32)
    for shape, layer in zip(shapes, stack, strict=True):
        x = layer(x)
        assert shape == (None, *x.shape[1:]), layer.name
