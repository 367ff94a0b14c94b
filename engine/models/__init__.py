"""Models (`keras.models`): sequential, functional and subclassed, and reading and writing them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from engine.models.functional import Functional
from engine.models.model import Model
from engine.models.sequential import Sequential
from engine.registry import deserialize as _deserialize


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


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """A model of the architecture that `Model.to_json` wrote, with new weights."""
    return _deserialize(json.loads(json_string), custom_objects)


def clone_model(model: Any, clone_function: Callable[[Any], Any] | None = None) -> Any:
    """A model of the same architecture with new layers and weights.

    Args:
        model: a sequential or functional model.
        clone_function: makes a new layer from each layer; default: from its config.

    Raises:
        ValueError: a subclassed model, whose call cannot be copied.
    """
    make = clone_function or (lambda layer: type(layer).from_config(layer.get_config()))
    if isinstance(model, Sequential):
        layers = model.layers
        inputs = model._sequence[: len(model._sequence) - len(layers)]
        return type(model)([*(type(item).from_config(item.get_config()) for item in inputs), *map(make, layers)],
                           name=model.name)  # fmt: skip
    if isinstance(model, Functional):
        return model.cloned(make)
    raise ValueError(f"Only sequential and functional models can be cloned. Received: {type(model).__name__}")


__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
