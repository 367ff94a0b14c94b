"""Optimizers (`keras.optimizers`)."""

from __future__ import annotations

from typing import Any

from engine.optimizers import schedules
from engine.optimizers.adam import Adam, AdamW
from engine.optimizers.optimizer import Optimizer
from engine.optimizers.rmsprop import RMSprop
from engine.optimizers.sgd import SGD
from engine.registry import deserialize as _deserialize
from engine.registry import serialize as _serialize


def serialize(optimizer: Any) -> Any:
    """The config of an optimizer."""
    return _serialize(optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The optimizer of a config. Class names of Keras 2 ("adam") are understood."""
    if isinstance(config, dict) and "module" not in config:
        config = {"module": "keras.optimizers", "registered_name": None, **config}
    return _deserialize(config, custom_objects)


def get(identifier: Any) -> Any:
    """The optimizer of a name, a config or an optimizer; None for None.

    Raises:
        ValueError: it stands for no optimizer.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    try:
        if isinstance(identifier, str):
            found = deserialize({"class_name": identifier, "config": {}})
        elif isinstance(identifier, dict):
            found = deserialize(identifier)
        else:
            found = identifier() if isinstance(identifier, type) else identifier
    except TypeError as error:
        raise ValueError(f"Could not interpret the optimizer {identifier!r}: {error}") from error
    if not isinstance(found, Optimizer):
        raise ValueError(
            f"Could not interpret the optimizer {identifier!r}: expected a name, a config or an Optimizer."
        )
    return found


__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "deserialize", "get", "schedules", "serialize"]
