"""Keras's files before `.keras`: HDF5 with a group for each layer (`.h5`), of whole models or of weights alone."""

from engine.saving.legacy.config import modernised
from engine.saving.legacy.container import (
    KERAS_1,
    is_legacy,
    model_config,
    parsed_object,
    parsed_version,
    saved_layers,
    training_config,
    version,
    version_text,
    weights_group,
)
from engine.saving.legacy.functions import check_function
from engine.saving.legacy.model import read_model
from engine.saving.legacy.optimizer import read_numbered_optimizer, read_optimizer
from engine.saving.legacy.training import compile_config
from engine.saving.legacy.weights import read_weights
from engine.saving.legacy.writing import write_model

__all__ = [
    "KERAS_1",
    "check_function",
    "compile_config",
    "is_legacy",
    "model_config",
    "modernised",
    "parsed_object",
    "parsed_version",
    "read_model",
    "read_numbered_optimizer",
    "read_optimizer",
    "read_weights",
    "saved_layers",
    "training_config",
    "version",
    "version_text",
    "weights_group",
    "write_model",
]
