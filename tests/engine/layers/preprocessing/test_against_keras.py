"""Preprocessing layers at rest, with real Keras beside them: outputs, configs both ways, shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import layers
from engine.registry import deserialize, serialize
from tests.engine.keras_reference import as_json, keras

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 9, 7, 3)).astype(np.float32)
ROWS = np.random.default_rng(1).normal(2.0, 3.0, (5, 4)).astype(np.float32)
TOKENS = np.random.default_rng(2).integers(0, 6, (5, 4)).astype(np.int32)
FIRST = {"data_format": "channels_first"}

CASES: list[tuple[str, dict[str, Any], np.ndarray[Any, Any]]] = [
    ("Normalization", {}, ROWS),
    ("Normalization", {"axis": None, "mean": 3.0, "variance": 2.0}, ROWS),
    ("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [0.0, 1.0, 4.0], "invert": True}, IMAGES),
    ("Normalization", {"axis": (1, -1), "mean": [1.0, 2.0, 3.0], "variance": [1.0, 1.0, 4.0]}, IMAGES),
    *(("Resizing", {"height": 5, "width": 12, "interpolation": name}, IMAGES) for name in ("bilinear", "nearest")),
    *(
        ("Resizing", {"height": 12, "width": 4, "interpolation": n}, IMAGES)
        for n in ("bicubic", "lanczos3", "lanczos5")
    ),
    ("Resizing", {"height": 4, "width": 5, "antialias": True}, IMAGES),
    ("Resizing", {"height": 3, "width": 9, "antialias": True, "interpolation": "bicubic"}, IMAGES),
    ("Resizing", {"height": 6, "width": 8, "crop_to_aspect_ratio": True}, IMAGES),
    ("Resizing", {"height": 6, "width": 9, "pad_to_aspect_ratio": True, "fill_value": 7.0}, IMAGES),
    ("Resizing", {"height": 9, "width": 2, "pad_to_aspect_ratio": True}, IMAGES),
    ("Resizing", {"height": 5, "width": 4}, IMAGES.astype(np.uint8)),
    ("Resizing", {"height": 5, "width": 4, **FIRST}, IMAGES.transpose(0, 3, 1, 2)),
    ("CenterCrop", {"height": 4, "width": 4}, IMAGES),
    ("CenterCrop", {"height": 12, "width": 4}, IMAGES),
    ("CenterCrop", {"height": 4, "width": 5, **FIRST}, IMAGES.transpose(0, 3, 1, 2)),
    ("RandomCrop", {"height": 9, "width": 7, "seed": 3}, IMAGES),
    ("RandomFlip", {"mode": "vertical", "seed": 1}, IMAGES.astype(np.uint8)),
    ("RandomRotation", {"factor": 0.2, "fill_mode": "constant", "fill_value": 1.0}, IMAGES),
    ("RandomZoom", {"height_factor": 0.2}, IMAGES),
    ("RandomZoom", {"height_factor": (-0.2, 0.1), "width_factor": 0.1, "interpolation": "nearest"}, IMAGES),
    ("RandomTranslation", {"height_factor": 0.1, "width_factor": (-0.2, 0.3), "fill_mode": "wrap"}, IMAGES),
    ("RandomShear", {"x_factor": 0.2, "y_factor": (0.1, 0.3)}, IMAGES),
    ("RandomContrast", {"factor": 0.3}, IMAGES),
    ("RandomBrightness", {"factor": (-0.2, 0.1), "value_range": (0, 1)}, IMAGES),
    ("RandomInvert", {"factor": 0.5}, IMAGES),
    ("RandomPosterization", {"factor": 4}, IMAGES),
    ("RandomHue", {"factor": 0.3}, IMAGES),
    ("RandomSaturation", {"factor": (0.2, 0.7)}, IMAGES),
    ("RandomColorDegeneration", {"factor": 0.5}, IMAGES),
    ("RandomColorJitter", {"brightness_factor": 0.2, "hue_factor": 0.1}, IMAGES),
    ("RandomGrayscale", {"factor": 0.4}, IMAGES),
    ("RandomSharpness", {"factor": 0.4}, IMAGES),
    ("RandomGaussianBlur", {"kernel_size": 5, "sigma": 0.5}, IMAGES),
    ("RandomErasing", {"factor": 0.4, "fill_value": (1.0, 2.0, 3.0)}, IMAGES),
    ("Solarization", {"addition_factor": 0.2, "threshold_factor": (0.2, 0.5)}, IMAGES),
    ("AutoContrast", {"value_range": (0, 300)}, IMAGES),
    ("Equalization", {"bins": 64}, IMAGES),
    *(
        ("CategoryEncoding", {"num_tokens": 6, "output_mode": mode}, TOKENS)
        for mode in ("multi_hot", "count", "one_hot")
    ),
    ("CategoryEncoding", {"num_tokens": 6, "output_mode": "one_hot"}, TOKENS[:, :1]),
    ("CategoryEncoding", {"num_tokens": 6}, TOKENS[0]),
    *(
        ("Discretization", {"bin_boundaries": [-1.0, 2.0, 3.5], "output_mode": mode}, ROWS)
        for mode in ("int", "one_hot")
    ),
    ("Discretization", {"bin_boundaries": [-1.0, 2.0, 3.5], "output_mode": "count"}, ROWS),
]


# Keras draws here even where it then leaves the images alone, which takes long; that it does is certain.
_DRAWING_AT_REST = (
    "RandomHue",
    "RandomSaturation",
    "RandomPosterization",
    "RandomGrayscale",
    "RandomColorDegeneration",
)


@pytest.mark.parametrize(
    ("layer", "options", "data"), CASES, ids=[f"{layer}-{i}" for i, (layer, *_) in enumerate(CASES)]
)
def test_layers_at_rest_equal_keras_and_their_configs_travel_both_ways(layer: str, options: Any, data: Any) -> None:
    theirs = getattr(keras.layers, layer)(**options, name="tested")
    ours = getattr(layers, layer)(**options, name="tested")
    resting = {"training": False} if layer.startswith("Random") or layer in ("Solarization", "Equalization") else {}
    received = ours(data, **resting).numpy()
    expected = data if layer in _DRAWING_AT_REST else np.asarray(theirs(data, **resting))
    assert received.dtype == expected.dtype
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-4 if data.max() > 50 else 1e-5)
    config = as_json(keras.saving.serialize_keras_object(theirs))
    mine = as_json(serialize(ours))
    assert {**mine, "build_config": None} == {**config, "build_config": None}
    again = deserialize(config)
    np.testing.assert_array_equal(again(data, **resting).numpy(), received)
    if layer != "RandomShear":  # Keras refuses the configs that it writes
        keras.saving.deserialize_keras_object(mine)
    placeholder = layers.Input(data.shape[1:], dtype=data.dtype.name)
    assert ours(placeholder).shape[1:] == expected.shape[1:]
