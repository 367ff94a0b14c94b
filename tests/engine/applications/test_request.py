"""What may be asked of an architecture, and what is refused with a word of why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import applications, layers

SMALL: dict[str, Any] = {"weights": None, "include_top": False, "alpha": 0.25}


@pytest.fixture
def channels_first() -> Any:
    engine.config.set_image_data_format("channels_first")
    yield
    engine.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "imagnet"}, "`weights` must be .* Received: weights='imagnet'"),
        ({"weights": "imagenet", "classes": 10}, "`classes` must be 1000. Received: classes=10"),
        ({"weights": None, "include_top": False, "pooling": "mean"}, "`pooling` must be .*'mean'"),
        ({"weights": "imagenet", "input_shape": (96, 96, 3)}, r"must be \(224, 224, 3\). Received: \(96, 96, 3\)"),
        ({"weights": "imagenet", "include_top": False, "input_shape": (96, 96, 1)}, "must have 3 channels"),
        ({"weights": None, "input_shape": (31, 64, 3)}, r"at least 32x32 pixels. Received: input_shape=\(31, 64, 3\)"),
        ({"weights": None, "input_shape": (None, None, 3)}, r"fully known. Received: \(None, None, 3\)"),
        ({"weights": None, "input_shape": (64, 64)}, r"three lengths, without the batch axis. Received: \(64, 64\)"),
        ({"weights": "imagenet", "classifier_activation": "relu"}, "'softmax' or None. Received: .*'relu'"),
        ({"weights": None, "input_tensor": np.zeros((1, 64, 64, 3))}, "`input_tensor` must be a placeholder"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        applications.ResNet50(**arguments)


@pytest.mark.parametrize("network", ["ResNet50", "MobileNet", "MobileNetV2"])
@pytest.mark.parametrize("shape", [224, (224, 224), (1, 224, 224, 3), ("a", 224, 3)])
def test_shapes_that_are_no_three_lengths_are_named(network: str, shape: Any) -> None:
    with pytest.raises(ValueError, match=r"`input_shape` must be three lengths, .* Received: .*224"):
        getattr(applications, network)(weights=None, input_shape=shape)


def test_larger_minimum_sizes_hold() -> None:
    with pytest.raises(ValueError, match="71x71"):
        applications.Xception(weights=None, input_shape=(70, 71, 3))
    with pytest.raises(ValueError, match="75x75"):
        applications.InceptionV3(weights=None, input_shape=(75, 74, 3))


def test_mobilenets_are_published_in_some_widths_only() -> None:
    with pytest.raises(ValueError, match=r"`alpha` must be one of .* Received: alpha=0.3"):
        applications.MobileNet(alpha=0.3)
    with pytest.raises(ValueError, match="`depth_multiplier` must be 1"):
        applications.MobileNet(depth_multiplier=2)
    with pytest.raises(ValueError, match=r"`alpha` must be one of .* Received: alpha=0.25"):
        applications.MobileNetV2(alpha=0.25)


def test_unusual_numbers_of_channels_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="has 5"):
        model = applications.MobileNet(input_shape=(32, 32, 5), **SMALL)
    assert model.input_shape == (None, 32, 32, 5)


def test_a_network_goes_on_from_a_placeholder_to_the_inputs_before_it() -> None:
    start = layers.Input((48, 64, 1), name="grey")
    colours = layers.Concatenate()([start, start, start])
    model = applications.MobileNet(input_tensor=colours, pooling="avg", **SMALL)
    assert model.input_names == ["grey"]
    assert model.predict(np.ones((2, 48, 64, 1), np.float32), verbose=0).shape == (2, 256)


def test_a_placeholder_and_a_shape_must_agree_where_keras_wants_it() -> None:
    with pytest.raises(ValueError, match="same rows and columns"):
        applications.MobileNetV2(weights=None, input_tensor=layers.Input((64, 64, 3)), input_shape=(96, 96, 3))


def test_channels_first_networks_compute_the_same(channels_first: None) -> None:
    first = applications.MobileNetV2(
        weights=None, alpha=0.35, input_shape=(3, 33, 34), include_top=False, pooling="avg"
    )
    engine.config.set_image_data_format("channels_last")
    last = applications.MobileNetV2(weights=None, alpha=0.35, input_shape=(33, 34, 3), include_top=False, pooling="avg")
    last.set_weights(first.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 33, 34, 3)).astype(np.float32)
    expected = last(x)
    received = first(x.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_weights_come_from_a_file(ending: str, tmp_path: Path) -> None:
    model = applications.MobileNet(**SMALL)
    path = tmp_path / f"model{ending}"
    (model.save_weights if ending == ".weights.h5" else model.save)(path)
    for given in (path, str(path)):
        loaded = applications.MobileNet(**{**SMALL, "weights": given})
        for received, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(received, expected)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "narrow.weights.h5"
    applications.MobileNet(**SMALL).save_weights(path)
    with pytest.raises(ValueError, match="mismatches between the model and the weights"):
        applications.MobileNet(**{**SMALL, "weights": path, "alpha": 0.5})
