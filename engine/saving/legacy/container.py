"""How old files are laid out: attributes with JSON and lists of names, and a group of datasets for each layer.

A file of weights has at its root what a file of a whole model has in its group "model_weights": the attribute
`layer_names`, and by each of these names a group with the attribute `weight_names`, each the path of a dataset in it.
Lists that are too long for one attribute are cut: `layer_names0`, `layer_names1`, …
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine.saving import hdf5

if TYPE_CHECKING:
    import h5py

TOP_LEVEL = "top_level_model_weights"
"""The group of the weights that a model owns itself, beside those of its layers."""
KERAS_1 = (1, 0)
"""The version of files that do not say which one wrote them."""


class SavedLayer(NamedTuple):
    """What a file holds of one layer: its name there, and its datasets by name, in order."""

    name: str
    weights: list[tuple[str, h5py.Dataset]]


def is_legacy(file: h5py.File) -> bool:
    """Whether an HDF5 file is of this kind, not one of Keras 3's weights files."""
    return weights_group(file) is not None or hdf5.attribute(file, "model_config") is not None


def weights_group(file: h5py.File) -> h5py.Group | None:
    """The group that lists the layers, or None."""
    for group in (file, hdf5.child(file, "model_weights")):
        if hdf5.is_group(group) and any(
            hdf5.attribute(group, name) is not None for name in ("layer_names", "layer_names0")
        ):
            return group
    return None


def version(file: h5py.File) -> tuple[int, int]:
    """The version of Keras that wrote the file, such as (2, 4)."""
    text = version_text(file)
    return KERAS_1 if text is None else parsed_version(text)


def version_text(file: h5py.File) -> str | None:
    """The version of Keras as the file has it, such as "2.4.0" or "2.3.0-tf"; None where it does not say."""
    for place in (file, weights_group(file)):
        text = None if place is None else hdf5.attribute(place, "keras_version")
        if text is not None:
            return _text(text)
    return None


def backend(group: h5py.Group) -> str:
    """What Keras computed with when it wrote the layers of a group, such as "tensorflow"; empty where unsaid."""
    name = hdf5.attribute(group, "backend")
    return "" if name is None else _text(name)


def parsed_version(text: Any) -> tuple[int, int]:
    """The first two numbers of a version like "2.4.0" or "2.3.0-tf"."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})(\D|$)", text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"The file says that it was written by Keras {text!r}, which is no version.")
    return int(found[1]), int(found[2])


def model_config(file: h5py.File) -> dict[str, Any]:
    """The architecture of the model in the file.

    Raises:
        ValueError: the file has weights alone, or the attribute is no JSON object.
    """
    config = _json(file, "model_config")
    if config is None:
        if weights_group(file) is None:
            raise ValueError("The file is none that Keras wrote: it has neither a model's configuration nor weights.")
        raise ValueError(
            "The file holds weights alone. Make the model, then read them into it with `model.load_weights(path)`."
        )
    return config


def training_config(file: h5py.File) -> dict[str, Any] | None:
    """How the model in the file was compiled, or None."""
    return _json(file, "training_config")


def saved_layers(group: h5py.Group) -> list[SavedLayer]:
    """The layers of a group in the order of its list, those without weights included.

    Raises:
        ValueError: the list names what is not there.
    """
    return [saved_layer(group, name) for name in names(group, "layer_names")]


def saved_layer(group: h5py.Group, name: str) -> SavedLayer:
    """One layer by its name."""
    inner = hdf5.child(group, name)
    if not hdf5.is_group(inner):
        raise ValueError(f"The file lists a layer {name!r}, but has no group of that name.")
    weights = []
    for weight in names(inner, "weight_names"):
        dataset = hdf5.descend(inner, weight)
        if not hdf5.is_dataset(dataset):
            raise ValueError(f"The file lists a weight {weight!r} of layer {name!r}, but has no dataset of that name.")
        weights.append((weight, dataset))
    return SavedLayer(name, weights)


def names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names in an attribute, or in its parts; an empty list where there is none."""
    value = hdf5.attribute(group, attribute)
    if value is not None:
        found = _texts(value)
    else:
        found = []
        for number in itertools.count():
            value = hdf5.attribute(group, f"{attribute}{number}")
            if value is None:
                break
            found += _texts(value)
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ValueError(f"The attribute {attribute!r} lists {twice!r} twice.")
    return found


def _texts(value: Any) -> list[str]:
    return [_text(item) for item in np.ravel(np.asarray(value)).tolist()]


def _text(value: Any) -> str:
    try:
        text = value.decode("utf-8") if isinstance(value, bytes) else str(value)
        text.encode("utf-8")  # h5py lets bytes that are no text through as surrogates
    except UnicodeError:
        raise ValueError(f"The file has a name that is no UTF-8: {value!r}") from None
    return text


def _json(file: h5py.File, attribute: str) -> dict[str, Any] | None:
    value = hdf5.attribute(file, attribute)
    if value is None:
        return None
    return parsed_object(_text(value), f"The attribute {attribute!r}")


def parsed_object(text: str | bytes, what: str = "The text") -> dict[str, Any]:
    """The object that a JSON text describes; `what` is for errors."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{what} is no JSON object.")
    return config
