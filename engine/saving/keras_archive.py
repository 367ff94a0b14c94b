"""Whole models as `.keras` archives: configuration, weights and assets; Keras 3's, and those of Keras 2.12 to 2.15."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.allowance import variables_limited
from engine.initialization import initialization_deferred
from engine.registry import serialize, sharing
from engine.saving import archive, assets, hdf5, legacy
from engine.saving.building import allowance, built, errors_of
from engine.saving.tree import Contents, read_variables, write_variables

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
PICKLED_WEIGHTS = "model.weights.npz"
STATE_OF_TRAINING = ("metrics", "optimizer")
"""Groups of Keras 2's archives that are not the model's own weights: its metrics' state, which a new epoch begins
without, and its optimizer's, which lies there in an order of its own."""


def write_archive(path: Path, model: Any, version: str, zipped: bool) -> None:
    """Writes a model as an archive, or as a folder of its members.

    Args:
        version: of the Keras whose layout this is.
    """
    with sharing():
        config = json.dumps(serialize(model))
    metadata = {"keras_version": version, "date_saved": datetime.now(UTC).strftime("%Y-%m-%d@%H:%M:%S")}
    members = {
        METADATA: json.dumps(metadata).encode(),
        CONFIG: config.encode(),
        WEIGHTS: hdf5.to_bytes(lambda file: write_variables(file, model)),
        **assets.collected(model),
    }
    write = archive.write if zipped else archive.write_folder
    write(path, members)


def read_archive(path: Path, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    """The model of an archive or of its folder; see `engine.saving.load_model`."""
    with archive.open_archive(path) as members:
        config = parsed_config(members, path)
        version = version_of(members)
        if not compile:
            config.pop("compile_config", None)
        with errors_of(path):
            config = modernised(config, version)
            check_weights(members)
        with (
            errors_of(path),
            hdf5.open_file(members.file(WEIGHTS), f"{path}: {WEIGHTS}") as file,
            initialization_deferred(),
        ):
            contents = Contents(file)
            with variables_limited(allowance(contents)):
                model = built(config, custom_objects, path)
            ignored = STATE_OF_TRAINING if version < (3, 0) else () if compile else ("optimizer",)
            read_variables(contents, model, ignore=ignored)
            if version < (3, 0) and compile and getattr(model, "optimizer", None) is not None:
                legacy.read_numbered_optimizer(contents, model.optimizer)
        with errors_of(path):
            assets.load(members, model)
    return model


def check_weights(members: archive.Members) -> None:
    """Raises ValueError where an archive's weights are of the kind that Keras pickles."""
    if WEIGHTS not in members and PICKLED_WEIGHTS in members:
        raise ValueError(
            f"its weights are in {PICKLED_WEIGHTS}, whose entries are pickled Python objects; these are never read. "
            'Save it again with weights_format="h5".'
        )


def parsed_config(members: archive.Members, path: Path) -> dict[str, Any]:
    """The configuration in an archive.

    Raises:
        ValueError: it is no JSON, or describes no model.
    """
    try:
        config = json.loads(members.read(CONFIG))
    except ValueError as error:
        if not isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
            raise  # the archive's own errors name the file
        raise ValueError(f"{str(path)!r}: {CONFIG} is not valid JSON: {error}") from None
    except RecursionError as error:
        raise ValueError(f"{str(path)!r}: {CONFIG} is not valid JSON: {error}") from None
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        raise ValueError(f"{str(path)!r}: {CONFIG} describes no model.")
    return config


def version_of(members: archive.Members) -> tuple[int, int]:
    """The version of Keras that an archive's metadata name; 3.0 where they name none, since they only inform."""
    try:
        version = legacy.parsed_version(json.loads(members.read(METADATA))["keras_version"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return (3, 0)
    return version if version >= (2, 0) else (3, 0)


def modernised(config: dict[str, Any], version: tuple[int, int]) -> dict[str, Any]:
    """The config of an archive as it is, or, where Keras 2 wrote it, put into today's form."""
    if version >= (3, 0):
        return config
    config = dict(config)
    compiled = config.pop("compile_config", None)
    config = legacy.modernised(config, version)
    if compiled:
        config["compile_config"] = legacy.compile_config(
            {"optimizer_config": compiled.get("optimizer"), **compiled}, version
        )
    return config
