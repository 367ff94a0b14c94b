"""Saving and loading whole models and weights, by the path's extension."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.allowance import variables_limited
from engine.registry import custom_object_scope, deserialize, serialize, sharing
from engine.saving import archive, hdf5
from engine.saving.tree import read_variables, substance, write_variables

# The release of Keras whose layout our archives follow; readers only inform themselves by it.
KERAS_VERSION = "3.15.1"

ALLOWANCE_FREE = 64 << 20
"""Bytes of variables that any file may declare."""
ALLOWANCE_FACTOR = 8
"""How many times the bytes of its weights a file may declare beyond that: optimizers keep several slots for each
weight, and files of models that were not trained yet hold none."""


def save_model(
    model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, zipped: bool | None = None
) -> None:
    """Writes a model, its weights and its optimizer's state as a `.keras` archive.

    The archive appears whole or not at all: it is written beside its place and moved there.

    Args:
        model: a model.
        filepath: ends in ".keras" (a folder may have any name).
        overwrite: whether to replace what is there.
        zipped: False: write a folder with the archive's members instead; default: a folder where one is there already.

    Raises:
        ValueError: the path does not end in ".keras".
        FileExistsError: it exists and `overwrite` is False.
    """
    path = _target(filepath, overwrite)
    if zipped is None:
        zipped = not path.is_dir()
    if zipped and path.suffix != ".keras":
        raise ValueError(f"Expected a path that ends in '.keras' for a whole model. Received: {str(path)!r}")
    with sharing():
        config = json.dumps(serialize(model))
    metadata = {"keras_version": KERAS_VERSION, "date_saved": datetime.now(UTC).strftime("%Y-%m-%d@%H:%M:%S")}
    weights = hdf5.to_bytes(lambda file: write_variables(file, model))
    write = archive.write if zipped else archive.write_folder
    write(
        path,
        {"metadata.json": json.dumps(metadata).encode(), "config.json": config.encode(), "model.weights.h5": weights},
    )


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Reads a `.keras` archive (or the unzipped folder of one) written by Beagle or by Keras 3.

    What the file declares is bounded by what it brings: variables for more bytes than `ALLOWANCE_FREE` plus
    `ALLOWANCE_FACTOR` times its weights are refused before they are allocated.

    Args:
        filepath: the file.
        custom_objects: your classes and functions by the name that the file uses.
        compile: whether to compile the model as it was compiled when saved, optimizer state included.
        safe_mode: kept for Keras's sake. Loading is always safe: code in a file is refused, never run.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file, damaged, too large for what it holds, or its weights do not fit its architecture.
        TypeError: it names a class that is not registered.
    """
    path = Path(filepath)
    if not path.exists():
        raise FileNotFoundError(f"There is no model file at {str(path)!r}.")
    if path.suffix != ".keras" and not path.is_dir():
        raise ValueError(f"Expected a '.keras' file, or the folder of an unzipped one. Received: {str(path)!r}")
    with archive.open_archive(path) as members:
        config = _parse(members.read("config.json"), path)
        if not compile:
            config.pop("compile_config", None)
        with hdf5.open_file(members.file("model.weights.h5"), f"{path}: model.weights.h5") as file:
            allowance = ALLOWANCE_FREE + ALLOWANCE_FACTOR * substance(file)
            with variables_limited(allowance):
                model = _built(config, custom_objects, path)
            read_variables(file, model, ignore=() if compile else ("optimizer",))
    return model


def _built(config: dict[str, Any], custom_objects: Mapping[str, Any] | None, path: Path) -> Any:
    try:
        with custom_object_scope(custom_objects), sharing():
            model = deserialize(config)
    except (ValueError, TypeError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{str(path)!r}: {error}") from error
    except Exception as error:  # classes expect much of their configs
        raise ValueError(f"{str(path)!r}: config.json cannot be understood: {type(error).__name__}: {error}") from error
    if not hasattr(model, "saveable_children"):
        raise ValueError(f"{str(path)!r} holds a {type(model).__name__}, not a model.")
    return model


def save_weights(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Writes the model's variables (and its optimizer's, when compiled) as a `.weights.h5` file."""
    path = _target(filepath, overwrite)
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"Expected a path that ends in '.weights.h5'. Received: {str(path)!r}")
    archive.replace(path, hdf5.to_bytes(lambda file: write_variables(file, model)))


def load_weights(model: Any, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
    """Reads variables from a `.weights.h5` file or from the weights of a `.keras` archive into a built model.

    Args:
        skip_mismatch: layers whose variables do not fit keep what they have, with a warning.

    Raises:
        ValueError: variables are missing, left over or of other shapes; lists all. The model is then as it was.
    """
    path = Path(filepath)
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file at {str(path)!r}.")
    if path.suffix == ".keras":
        with (
            archive.open_archive(path) as members,
            hdf5.open_file(members.file("model.weights.h5"), f"{path}: model.weights.h5") as file,
        ):
            read_variables(file, model, ignore=("optimizer",), skip_mismatch=skip_mismatch, restore=not skip_mismatch)
    elif path.name.endswith(".weights.h5"):
        with path.open("rb") as stream, hdf5.open_file(stream, str(path)) as file:
            read_variables(file, model, ignore=("optimizer",), skip_mismatch=skip_mismatch, restore=not skip_mismatch)
    else:
        raise ValueError(f"Expected a '.weights.h5' or '.keras' file. Received: {str(path)!r}")


def _target(filepath: str | os.PathLike[str], overwrite: bool) -> Path:
    path = Path(filepath)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; pass overwrite=True to replace it.")
    return path


def _parse(text: bytes, path: Path) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r}: config.json is not valid JSON: {error}") from None
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        raise ValueError(f"{str(path)!r}: config.json describes no model.")
    return config
