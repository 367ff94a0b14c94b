"""Whole models from old files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.allowance import variables_limited
from engine.initialization import initialization_deferred
from engine.registry import custom_object_scope
from engine.saving.building import allowance, built, errors_of
from engine.saving.legacy import container
from engine.saving.legacy.config import modernised
from engine.saving.legacy.optimizer import read_optimizer
from engine.saving.legacy.training import compile_config
from engine.saving.legacy.weights import read_weights
from engine.saving.tree import Contents

if TYPE_CHECKING:
    import h5py


def read_model(file: h5py.File, path: Path, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    """The model of an open file; see `engine.saving.load_model`."""
    with errors_of(path), initialization_deferred():
        version = container.version(file)
        config = modernised(container.model_config(file), version)
        group = container.weights_group(file)
        if group is None:
            raise ValueError("it has no weights: no group has the attribute 'layer_names'.")
        training = container.training_config(file) if compile else None
        with variables_limited(allowance(Contents(file))):
            model = built(config, custom_objects, path)
            read_weights(group, model, whole=True)
            if training is not None:
                with custom_object_scope(custom_objects):
                    model.compile_from_config(compile_config(training, version))
        if training is not None and model.optimizer is not None and model.optimizer.built:
            read_optimizer(file, model.optimizer, version)
    return model
