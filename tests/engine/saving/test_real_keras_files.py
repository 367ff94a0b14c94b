"""Real model files of Keras 2, where the folder of real data is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

import engine

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")  # CIFAR-10's


def _lstm(test_data: Path, part: str) -> Path:
    return test_data / "keras" / "h5" / f"simple_lstm_tf_keras_2_{part}.h5"


def test_a_recurrent_network_computes_what_keras_computes_of_the_inputs_that_came_with_it(test_data: Path) -> None:
    model = engine.models.load_model(_lstm(test_data, "model"))
    with h5py.File(_lstm(test_data, "inputs_and_outputs")) as file:
        (given,) = [item[()] for item in file["inputs"].values()]
    computed = model.predict(given, batch_size=model.input_shape[0], verbose=0)
    # By tf_keras 2.21. The outputs in that file are what the network was trained towards, not what it computes.
    expected = [6.858989, 7.5254664, 0.4934252, 2.2336056, 1.3828127, 6.2354283]
    np.testing.assert_allclose(computed[:6, 0], expected, rtol=1e-5)


def test_weights_alone_go_into_the_model_of_the_whole_file(test_data: Path) -> None:
    whole = engine.models.load_model(_lstm(test_data, "model"))
    read = engine.models.load_model(_lstm(test_data, "model"))
    read.set_weights([np.zeros_like(weight) for weight in read.get_weights()])
    read.load_weights(_lstm(test_data, "weights"))
    for left, right in zip(read.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_files_that_are_no_models_say_what_they_are(test_data: Path) -> None:
    with pytest.raises(ValueError, match="weights alone"):
        engine.models.load_model(_lstm(test_data, "weights"))
    with pytest.raises(ValueError, match="none that Keras wrote"):
        engine.models.load_model(_lstm(test_data, "inputs_and_outputs"))


def _square(picture: Image.Image, left: float, top: float, size: float) -> Any:
    """A square of a picture, its corner and side as shares of the shorter side, in CIFAR-10's 32×32 pixels."""
    side = min(picture.size)
    corner = [int(left * side), int(top * side)]
    box = (*corner, *(int(place + size * side) for place in corner))
    return np.asarray(picture.convert("RGB").crop(box).resize((32, 32), Image.Resampling.BOX), np.float32)


@pytest.mark.parametrize("photo", ["chelsea.png", "kitten_224.png"])
def test_a_network_trained_on_cifar_10_sees_the_cats(photo: str, test_data: Path) -> None:
    model = engine.models.load_model(test_data / "keras" / "resnet8_cifar10.h5")
    with Image.open(test_data / "photos" / photo) as picture:
        width, height = (length / min(picture.size) for length in picture.size)
        square = _square(picture, (width - 1) / 2, (height - 1) / 2, 1.0)
    probabilities = model.predict(square[None], verbose=0)[0]
    assert CLASSES[int(np.argmax(probabilities))] == "cat", dict(zip(CLASSES, probabilities.round(3), strict=True))
