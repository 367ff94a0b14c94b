"""The same weights through a file give Keras's outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import applications
from tests.engine.applications.plausible import randomize
from tests.engine.keras_reference import keras

# By function: the arguments, and the kind of file in which Keras hands the weights over.
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "MobileNet": ({"input_shape": (64, 64, 3), "alpha": 0.25, "classes": 10}, ".h5"),
    "MobileNetV2": ({"input_shape": (65, 96, 3), "alpha": 0.35, "include_top": False, "pooling": "avg"}, ".keras"),
    "ResNet50": ({"input_shape": (64, 64, 3), "include_top": False, "pooling": "avg"}, ".weights.h5"),
    "Xception": ({"input_shape": (71, 71, 3), "include_top": False, "pooling": "max"}, ".keras"),
}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("function", CASES)
def test_outputs_equal_keras_for_the_same_weights(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Keras draws random numbers although a file follows, and compiles that for every shape.
    monkeypatch.setattr(
        keras.initializers.VarianceScaling, "__call__", lambda self, shape, dtype=None: np.zeros(shape, dtype)
    )
    arguments, ending = CASES[function]
    model = getattr(applications, function)(weights=None, **arguments)
    randomize(model)
    ours = tmp_path / "ours.weights.h5"
    model.save_weights(ours)
    theirs = getattr(keras.applications, function)(weights=str(ours), **arguments)
    handed = tmp_path / f"theirs{ending}"
    (theirs.save_weights if ending == ".weights.h5" else theirs.save)(handed)
    loaded = getattr(applications, function)(weights=handed, **arguments)
    x = np.random.default_rng(1).normal(size=(2, *model.inputs[0].shape[1:])).astype(np.float32)
    expected = theirs.predict_on_batch(x)
    # Where statistics are not those of trained networks, all rows come out alike or none is finite.
    assert 0.01 < expected.std() < 100
    for computed in (loaded(x, training=False), loaded.predict(x, verbose=0)):
        np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
