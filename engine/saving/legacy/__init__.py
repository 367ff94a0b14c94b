"""Keras's files before `.keras`: HDF5 with a group for each layer (`.h5`), of whole models or of weights alone."""

from engine.saving.legacy.config import modernised
from engine.saving.legacy.container import (
    is_legacy,
    model_config,
    parsed_version,
    training_config,
    version,
    weights_group,
)
from engine.saving.legacy.optimizer import read_optimizer
from engine.saving.legacy.training import compile_config
from engine.saving.legacy.weights import read_weights
from engine.saving.legacy.writing import write_model

__all__ = [
    "compile_config",
    "is_legacy",
    "model_config",
    "modernised",
    "parsed_version",
    "read_optimizer",
    "read_weights",
    "training_config",
    "version",
    "weights_group",
    "write_model",
]
