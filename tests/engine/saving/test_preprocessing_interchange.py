"""Image classifiers with their preprocessing inside, in files from Keras and for Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine.models import load_model
from tests.engine.keras_reference import keras

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 12, 10, 3)).astype(np.float32)


def _classifier(library: Any) -> Any:
    """A model as people build them, its Normalization adapted, made with Keras or with ours."""
    layers = library.layers
    normalization = layers.Normalization(name="normalization")
    normalization.adapt(IMAGES)
    inputs = library.Input((12, 10, 3))
    x = layers.RandomFlip("horizontal", name="flip")(inputs)
    x = layers.RandomRotation(0.1, name="rotation")(x)
    x = layers.RandomZoom((-0.1, 0.1), name="zoom")(x)
    x = layers.RandomTranslation(0.1, 0.1, name="translation")(x)
    x = layers.RandomContrast(0.2, name="contrast")(x)
    x = layers.RandomBrightness(0.1, name="brightness")(x)
    x = layers.RandomColorJitter(hue_factor=0.1, contrast_factor=0.2, name="jitter")(x)
    x = layers.CenterCrop(9, 9, name="crop")(x)
    x = layers.Resizing(6, 7, interpolation="bicubic", antialias=True, name="resizing")(x)
    x = normalization(x)
    x = layers.Conv2D(2, 3, name="conv")(x)
    x = layers.Discretization([-0.5, 0.0, 0.5], name="bins")(layers.GlobalAveragePooling2D(name="pool")(x))
    outputs = layers.Dense(2, name="dense")(layers.CategoryEncoding(4, "count", name="counts")(x))
    return library.Model(inputs, outputs)


def test_a_classifier_of_keras_gives_its_outputs_here(tmp_path: Path) -> None:
    theirs = _classifier(keras)
    theirs.save(tmp_path / "model.keras")  # Keras fails to write these layers to .h5
    ours = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        ours.predict(IMAGES, verbose=0), np.asarray(theirs(IMAGES, training=False)), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_classifier_of_ours_gives_its_outputs_in_keras(tmp_path: Path, name: str) -> None:
    ours = _classifier(engine)
    ours.save(tmp_path / name)
    theirs = keras.models.load_model(tmp_path / name)
    np.testing.assert_allclose(
        np.asarray(theirs(IMAGES, training=False)), ours.predict(IMAGES, verbose=0), rtol=1e-5, atol=1e-5
    )
