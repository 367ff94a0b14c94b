"""Pixels and class names as Keras prepares and reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import applications
from engine.applications import imagenet_utils
from tests.engine.keras_reference import keras

MODULES = ("densenet", "inception_v3", "mobilenet", "mobilenet_v2", "resnet", "resnet50", "resnet_v2", "vgg16", "vgg19",
           "xception")  # fmt: skip
SHAPES = {"channels_last": [(5, 4, 3), (2, 5, 4, 3)], "channels_first": [(3, 5, 4), (2, 3, 5, 4)]}


def pixels(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16", "float64"])
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
@pytest.mark.parametrize("data_format", SHAPES)
def test_arrays_are_prepared_as_keras_prepares_them(data_format: str, mode: str, dtype: str) -> None:
    for shape in SHAPES[data_format]:
        x = pixels(shape, dtype)
        before = x.copy()
        received = imagenet_utils.preprocess_input(x, data_format=data_format, mode=mode)
        np.testing.assert_array_equal(x, before)
        expected = keras.applications.imagenet_utils.preprocess_input(x.copy(), data_format=data_format, mode=mode)
        assert received.dtype == expected.dtype
        np.testing.assert_allclose(received, expected, rtol=5e-3 if dtype == "float16" else 1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
@pytest.mark.parametrize("data_format", SHAPES)
def test_tensors_and_placeholders_are_prepared_as_arrays_are(data_format: str, mode: str) -> None:
    x = pixels(SHAPES[data_format][1], "uint8")
    expected = imagenet_utils.preprocess_input(x, data_format, mode)
    tensor = imagenet_utils.preprocess_input(engine.ops.convert_to_tensor(x), data_format, mode)
    assert isinstance(tensor, engine.Tensor)
    np.testing.assert_allclose(tensor, expected, rtol=1e-6)
    start = engine.Input(x.shape[1:], dtype="uint8")
    model = engine.Model(start, imagenet_utils.preprocess_input(start, data_format, mode))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-6)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_prepares_as_its_network_was_trained(module: str) -> None:
    x = pixels((2, 5, 4, 3), "float32")
    received = getattr(applications, module).preprocess_input(x)
    np.testing.assert_allclose(received, getattr(keras.applications, module).preprocess_input(x.copy()), rtol=1e-6)
    assert getattr(applications, module).decode_predictions is imagenet_utils.decode_predictions


def test_unknown_modes_and_formats_are_named() -> None:
    x = pixels((5, 4, 3), "float32")
    with pytest.raises(ValueError, match="mode='caffee'"):
        imagenet_utils.preprocess_input(x, mode="caffee")
    with pytest.raises(ValueError, match="'channels'"):
        imagenet_utils.preprocess_input(x, data_format="channels")


@pytest.fixture
def real_class_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The published list of classes in the cache, and in Keras."""
    folder = Path(os.environ.get("BEAGLE_TEST_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
    source = folder / "imagenet" / "class_index.json"
    if not source.is_file():
        pytest.skip(f"there is no list of classes at {source} (BEAGLE_TEST_DATA names the folder around it)")
    monkeypatch.setenv("BEAGLE_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "imagenet_class_index.json").write_bytes(source.read_bytes())
    monkeypatch.setattr(keras.src.applications.imagenet_utils, "CLASS_INDEX", json.loads(source.read_text()))
    imagenet_utils.class_index.cache_clear()
    yield
    imagenet_utils.class_index.cache_clear()


@pytest.mark.usefixtures("real_class_index")
def test_predictions_are_named_as_keras_names_them() -> None:
    scores = np.random.default_rng(0).random((3, 1000)).astype(np.float32)
    received = imagenet_utils.decode_predictions(scores, top=4)
    assert received == keras.applications.imagenet_utils.decode_predictions(scores, top=4)
    assert imagenet_utils.decode_predictions(engine.ops.convert_to_tensor(scores)) == imagenet_utils.decode_predictions(
        scores, top=5
    )
    assert imagenet_utils.decode_predictions(np.eye(1000)[:1], top=1)[0][0][:2] == ("n01440764", "tench")


def test_predictions_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(rows, 1000\).*\(2, 10\)"):
        imagenet_utils.decode_predictions(np.zeros((2, 10)))


@pytest.mark.parametrize("top", [0, -1, 2.5, True])
def test_the_number_of_classes_is_checked_before_any_download(top: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("asked for the names of the classes")

    monkeypatch.setattr(imagenet_utils, "class_index", refuse)
    with pytest.raises(ValueError, match=rf"`top` must be a whole number from 1. Received: top={top}"):
        imagenet_utils.decode_predictions(np.zeros((1, 1000)), top=top)
