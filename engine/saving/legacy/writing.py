"""Whole models as `.h5` files, in the layout of `container` and with what Keras 3's reader of such files expects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.registry import place, serialize
from engine.saving import hdf5
from engine.saving.legacy.container import TOP_LEVEL
from engine.saving.legacy.optimizer import GROUP

if TYPE_CHECKING:
    import h5py

    from engine.variable import Variable

BACKEND = "tensorflow"
"""What readers of Keras 2 take the layout of the kernels from; it is the same as ours."""
ATTRIBUTE_LIMIT = 64512
"""Bytes above which a list is cut into several attributes: HDF5 allows 64 KB for all attributes of a group."""


def write_model(file: h5py.File, model: Any, version: str) -> None:
    """Writes architecture, weights and, of a compiled model, losses, metrics, optimizer and its state.

    Args:
        file: empty.
        version: of the Keras whose layout this is.
    """
    file.attrs["keras_version"], file.attrs["backend"] = version, BACKEND
    config = {"class_name": place(type(model))[1], "config": serialize(model.get_config())}
    file.attrs["model_config"] = json.dumps(config).encode()
    compiled = serialize(model.get_compile_config())
    if compiled.get("optimizer") is not None:
        training = {**compiled, "optimizer_config": compiled.pop("optimizer")}
        file.attrs["training_config"] = json.dumps(training).encode()
    _write_layers(file.create_group("model_weights"), model, version)
    if compiled and model.optimizer.variables:
        _write_weights(file.create_group(GROUP), model.optimizer.variables)


def _write_layers(group: h5py.Group, model: Any, version: str) -> None:
    group.attrs["keras_version"], group.attrs["backend"] = version, BACKEND
    _write_names(group, "layer_names", [layer.name for layer in model.layers])
    for layer in model.layers:
        _write_weights(group.create_group(layer.name), [*layer.trainable_weights, *layer.non_trainable_weights])
    _write_weights(group.create_group(TOP_LEVEL), model._own_variables())


def _write_weights(group: h5py.Group, variables: Sequence[Variable]) -> None:
    names = list(_distinct(variable.path for variable in variables))
    _write_names(group, "weight_names", names)
    for name, variable in zip(names, variables, strict=True):
        hdf5.write_array(group, name, variable.array)


def _distinct(names: Iterator[str]) -> Iterator[str]:
    """The names, numbered from their second appearance on."""
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        yield f"{name}_{seen[name]}" if seen[name] else name


def _write_names(group: h5py.Group, attribute: str, names: Sequence[str]) -> None:
    """A list of names as an attribute, or as several."""
    encoded = np.array([name.encode() for name in names], dtype=np.bytes_) if names else np.zeros(0, "S1")
    parts = -(-encoded.nbytes // ATTRIBUTE_LIMIT) or 1
    if parts == 1:
        group.attrs[attribute] = encoded
        return
    for number, part in enumerate(np.array_split(encoded, parts)):
        group.attrs[f"{attribute}{number}"] = part
