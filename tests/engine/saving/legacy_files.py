"""`.h5` files as Keras 2 wrote them, to read in tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.engine.saving.archives import small_model


def write_layers(group: h5py.Group, layers: Mapping[str, Mapping[str, Any]], version: str | None = "2.4.0") -> None:
    """What Keras 2 wrote of layers: by layer name, by weight name, the values."""
    group.attrs["layer_names"] = [name.encode() for name in layers]
    group.attrs["backend"] = b"tensorflow"
    if version is not None:
        group.attrs["keras_version"] = version.encode()
    for name, weights in layers.items():
        inner = group.create_group(name)
        inner.attrs["weight_names"] = [weight.encode() for weight in weights]
        for weight, value in weights.items():
            inner.create_dataset(weight, data=value)


def weights_of(model: Any) -> dict[str, dict[str, Any]]:
    """A model's layers as `write_layers` takes them."""
    return {
        layer.name: {f"{layer.name}/{weight.name}:0": np.asarray(weight.numpy()) for weight in _in_file_order(layer)}
        for layer in model.layers
    }


def _in_file_order(layer: Any) -> list[Any]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def small_weights(path: Path, change: Callable[[dict[str, dict[str, Any]]], Any] | None = None) -> Path:
    """The weights of the small model, as Keras 2 wrote them, the layers given to `change` before."""
    layers = weights_of(small_model())
    if change is not None:
        change(layers)
    with h5py.File(path, "w") as file:
        write_layers(file, layers)
    return path


def emptied(model: Any) -> Any:
    """The model with ones in place of its weights."""
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    return model


def assert_small(model: Any) -> None:
    for left, right in zip(model.get_weights(), small_model().get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def whole_model(path: Path, config: Any, layers: Mapping[str, Mapping[str, Any]], **attributes: Any) -> Path:
    """A whole model as Keras 2 wrote it."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.4.0"
        file.attrs["model_config"] = json.dumps(config).encode()
        for name, value in attributes.items():
            file.attrs[name] = json.dumps(value).encode()
        write_layers(file.create_group("model_weights"), layers)
    return path


DENSE: dict[str, Any] = {"name": "first", "units": 2, "activation": "relu", "dtype": "float32", "trainable": True}
DENSE_WEIGHTS = {
    "first/kernel:0": np.arange(6, dtype=np.float32).reshape(3, 2),
    "first/bias:0": np.array([1, -50], np.float32),
}


def dense_model(path: Path, **attributes: Any) -> Path:
    """One layer that knows its input, in a list: a sequence of the first versions of Keras 2."""
    entry = {"class_name": "Dense", "config": {**DENSE, "batch_input_shape": [None, 3]}}
    return whole_model(path, {"class_name": "Sequential", "config": [entry]}, {"first": DENSE_WEIGHTS}, **attributes)
