"""Optimizers (`keras.optimizers`)."""

from __future__ import annotations

from typing import Any

from engine.identifiers import resolve
from engine.optimizers import schedules
from engine.optimizers.adafactor import Adafactor
from engine.optimizers.adagrad import Adadelta, Adagrad, Ftrl
from engine.optimizers.adam import Adam, Adamax, AdamW, Nadam
from engine.optimizers.lamb import Lamb
from engine.optimizers.lion import Lion
from engine.optimizers.loss_scaling import LossScaleOptimizer
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
    return resolve(identifier, "keras.optimizers", "optimizer", expected=Optimizer)


__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
