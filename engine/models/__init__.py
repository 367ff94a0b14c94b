"""Models (`keras.models`): sequential, functional and subclassed, and reading and writing them."""

from __future__ import annotations

import os
from typing import Any

from engine.models.cloning import clone_model
from engine.models.functional import Functional
from engine.models.model import Model
from engine.models.sequential import Sequential


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Reads a model; see `engine.saving.load_model`."""
    from engine.saving import load_model as load

    return load(filepath, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)


def save_model(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any) -> None:
    """Writes a model; see `Model.save`."""
    model.save(filepath, overwrite=overwrite, **kwargs)


def model_from_config(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """A model of an architecture; see `engine.saving.text.model_from_config`."""
    from engine.saving import text

    return text.model_from_config(config, custom_objects)


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """A model of the architecture that `Model.to_json` of any Keras wrote, with new weights."""
    from engine.saving import text

    return text.model_from_json(json_string, custom_objects)


def model_from_yaml(yaml_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """A model of the architecture that `Model.to_yaml` wrote, ours or that of Keras up to 2.5, with new weights."""
    from engine.saving import text

    return text.model_from_yaml(yaml_string, custom_objects)


__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "save_model",
]
