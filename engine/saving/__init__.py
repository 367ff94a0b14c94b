"""Model files: Keras 3's `.keras` archives and `.weights.h5` files (`keras.saving`).

Files name classes; only registered ones are built. Nothing in a file is executed, imported or unpickled.
"""

from engine.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from engine.registry import deserialize as deserialize_keras_object
from engine.registry import serialize as serialize_keras_object
from engine.saving.api import load_model, load_weights, save_model, save_weights

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
