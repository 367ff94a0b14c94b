"""Models travel between Keras and us whole: what one writes the other opens, with the same outputs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
import engine.datasets.mnist
from tests.engine.keras_reference import as_json, keras
from tests.engine.layers.cases import CASES
from tests.engine.saving.architectures import ARCHITECTURES, Architecture, randomise

LIBRARIES = {"ours": engine, "keras": keras}


@pytest.fixture(params=ARCHITECTURES, ids=lambda item: item.name)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return request.param


@pytest.fixture(params=["ours", "keras"])
def writer(request: pytest.FixtureRequest) -> str:
    """Whose file it is; the other one reads it."""
    return request.param


def _reader(writer: str) -> Any:
    return LIBRARIES["keras" if writer == "ours" else "ours"]


def _made(architecture: Architecture, writer: str) -> Any:
    model = architecture.make(LIBRARIES[writer])
    randomise(model)
    return model


def _tolerance(architecture: Architecture) -> float:
    return 3e-2 if architecture.name == "other_dtypes" else 1e-5


def _assert_same(expected: Any, received: Any, tolerance: float = 1e-5) -> None:
    """Equal nests of outputs."""
    if isinstance(expected, dict):
        assert sorted(received) == sorted(expected)
        for name in expected:
            _assert_same(expected[name], received[name], tolerance)
    elif isinstance(expected, (list, tuple)):
        assert len(received) == len(expected)
        for left, right in zip(expected, received, strict=True):
            _assert_same(left, right, tolerance)
    else:
        left, right = _numbers(expected), _numbers(received)
        np.testing.assert_allclose(right, left, rtol=tolerance, atol=tolerance)


def _numbers(value: Any) -> np.ndarray[Any, Any]:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value).astype(np.float32)


def test_a_model_opens_on_the_other_side_with_the_same_outputs(
    architecture: Architecture, writer: str, tmp_path: Path
) -> None:
    model = _made(architecture, writer)
    model.save(tmp_path / "m.keras")
    opened = _reader(writer).models.load_model(tmp_path / "m.keras")
    data = architecture.data()
    _assert_same(model(data), opened(data), _tolerance(architecture))
    assert [layer.name for layer in opened.layers] == [layer.name for layer in model.layers]
    assert [(w.name, w.trainable) for w in opened.weights] == [(w.name, w.trainable) for w in model.weights]
    assert len(opened.trainable_weights) == len(model.trainable_weights)


def test_our_file_is_what_keras_writes(architecture: Architecture, tmp_path: Path) -> None:
    import h5py

    found: dict[str, Any] = {}
    for writer in LIBRARIES:
        keras.utils.clear_session()
        engine.utils.clear_session()
        path = tmp_path / f"{writer}.keras"
        _made(architecture, writer).save(path)
        with zipfile.ZipFile(path) as archive:
            assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
            members = archive.namelist()
            config = json.loads(archive.read("config.json"))
            with archive.open("model.weights.h5") as stream, h5py.File(stream, "r") as file:
                datasets: dict[str, Any] = {}
                groups: dict[str, Any] = {}

                def note(name: str, item: Any) -> None:
                    if isinstance(item, h5py.Dataset):
                        value = np.asarray(item)
                        datasets[name] = (value.dtype, dict(item.attrs), value.tolist())  # noqa: B023
                    elif name.endswith("vars"):
                        groups[name] = dict(item.attrs)  # noqa: B023

                file.visititems(note)
        found[writer] = members, _without_policy_ids(config), datasets, groups
    for ours, theirs in zip(found["ours"], found["keras"], strict=True):
        assert ours == theirs


def _without_policy_ids(item: Any) -> Any:
    """A config without the ids of shared dtype policies: Keras leaves the first one out, and nothing hangs on it."""
    if isinstance(item, list):
        return [_without_policy_ids(value) for value in item]
    if not isinstance(item, dict):
        return item
    is_policy = item.get("class_name") == "DTypePolicy"
    return {
        key: _without_policy_ids(value) for key, value in item.items() if not (is_policy and key == "shared_object_id")
    }


def test_weights_files_are_read_by_the_other_side(architecture: Architecture, writer: str, tmp_path: Path) -> None:
    model = _made(architecture, writer)
    model.save_weights(tmp_path / "m.weights.h5")
    other = architecture.make(_reader(writer))
    other.load_weights(tmp_path / "m.weights.h5")
    for expected, received in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(np.asarray(received), np.asarray(expected))


def test_loading_and_saving_again_changes_nothing(architecture: Architecture, tmp_path: Path) -> None:
    contents = []
    path = tmp_path / "m.keras"
    model = _made(architecture, "ours")
    for _ in range(2):
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            contents.append((_without_policy_ids(config), archive.read("model.weights.h5")))
        model = engine.models.load_model(path)
    assert contents[0] == contents[1]


def test_every_layer_travels_with_every_option(writer: str, tmp_path: Path) -> None:
    library = LIBRARIES[writer]
    inputs, outputs = [], []
    for case in CASES:
        placeholders = [library.Input(shape[1:]) for shape in case.shapes]
        layer = getattr(library.layers, case.layer)(**case.options)
        inputs += placeholders
        outputs.append(layer(placeholders if len(placeholders) > 1 else placeholders[0]))
    model = library.Model(inputs, outputs)
    randomise(model)
    model.save(tmp_path / "m.keras")
    opened = _reader(writer).models.load_model(tmp_path / "m.keras")
    # What equal layers with equal weights compute is compared layer by layer elsewhere.
    for left, right in zip(model.layers, opened.layers, strict=True):
        assert as_json(right.get_config()) == as_json(left.get_config())
        for expected, received in zip(left.get_weights(), right.get_weights(), strict=True):
            np.testing.assert_array_equal(np.asarray(received), np.asarray(expected))


def test_folders_of_unzipped_archives_open_on_both_sides(writer: str, tmp_path: Path) -> None:
    architecture = next(item for item in ARCHITECTURES if item.name == "residual")
    model = _made(architecture, writer)
    model.save(tmp_path / "folder", zipped=False)
    data = architecture.data()
    for reader in LIBRARIES.values():
        _assert_same(model(data), reader.models.load_model(tmp_path / "folder")(data))


def test_a_network_of_keras_recognises_as_many_digits_as_in_keras(test_data: Path) -> None:
    path = test_data / "keras" / "mnist_cnn.keras"
    _, (x, y) = engine.datasets.mnist.load_data(test_data / "mnist")
    x = x[..., np.newaxis].astype(np.float32) / 255.0
    ours, theirs = engine.models.load_model(path), keras.models.load_model(path)
    probabilities = ours.predict(x, batch_size=500, verbose=0)
    # Keras 3.15 on JAX recognises 9911 of the 10,000; it takes long, so that here it only looks at the first.
    assert np.sum(np.argmax(probabilities, axis=-1) == y) == 9911
    expected = theirs.predict(x[:1000], batch_size=500, verbose=0)
    np.testing.assert_allclose(probabilities[:1000], expected, atol=1e-5)
