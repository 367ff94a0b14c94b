"""Utilities (`keras.utils`)."""

from __future__ import annotations

from engine.random import set_random_seed
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
from engine.utils.files import get_file
from engine.utils.numerical import normalize, to_categorical
from engine.utils.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from engine.utils.progress import Progbar
from engine.utils.py_dataset import PyDataset, Sequence


def clear_session(free_memory: bool = True) -> None:
    """Starts the numbering of automatic names afresh.

    Args:
        free_memory: whether garbage is collected now.
    """
    from engine.naming import reset_names

    reset_names()
    if free_memory:
        import gc

        gc.collect()


__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "normalize",
    "pack_x_y_sample_weight",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]
