"""Saving and loading whole models and weights, by the path's extension and by what a file holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.allowance import variables_limited
from engine.initialization import initialization_deferred
from engine.registry import custom_object_scope, deserialize, serialize, sharing
from engine.saving import archive, hdf5, legacy
from engine.saving.tree import Contents, read_variables, write_variables

if TYPE_CHECKING:
    import h5py

# The release of Keras whose layout our archives follow; readers only inform themselves by it.
KERAS_VERSION = "3.15.1"

ALLOWANCE_FREE = 64 << 20
"""Bytes of variables that any file may declare."""
ALLOWANCE_FACTOR = 8
"""How many times the bytes of its weights a file may declare beyond that: optimizers keep several slots for each
weight, and files of models that were not trained yet hold none."""

_HDF5 = (".h5", ".hdf5", ".hdf")


def save_model(
    model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, zipped: bool | None = None
) -> None:
    """Writes a model, its weights and its optimizer's state as a `.keras` archive, or as an `.h5` file of Keras's
    former layout.

    The file appears whole or not at all: it is written beside its place and moved there.

    Args:
        model: a model.
        filepath: ends in ".keras", or in ".h5" or ".hdf5" (a folder may have any name).
        overwrite: whether to replace what is there.
        zipped: False: write a folder with the archive's members instead; default: a folder where one is there already.

    Raises:
        ValueError: the path ends in something else (".weights.h5" is for weights alone).
        FileExistsError: it exists and `overwrite` is False.
    """
    path = _target(filepath, overwrite)
    if zipped is None:
        zipped = not path.is_dir()
    if path.suffix in _HDF5 and zipped and not path.name.endswith(".weights.h5"):
        archive.replace(path, hdf5.to_bytes(lambda file: legacy.write_model(file, model, KERAS_VERSION)))
        return
    if zipped and path.suffix != ".keras":
        raise ValueError(f"Expected a path that ends in '.keras' or '.h5' for a whole model. Received: {str(path)!r}")
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
    """Reads a `.keras` archive (or the unzipped folder of one), or an `.h5` file of Keras 2 or 3.

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
    if path.suffix in _HDF5 and path.is_file():
        return _load_legacy_model(path, custom_objects, compile)
    if path.suffix != ".keras" and not path.is_dir():
        raise ValueError(
            f"Expected a '.keras' file, the folder of an unzipped one, or an '.h5' file. Received: {str(path)!r}"
        )
    with archive.open_archive(path) as members:
        config = _parse(members.read("config.json"), path)
        if not compile:
            config.pop("compile_config", None)
        with _errors_of(path):
            config = _modernised(config, members)
        with (
            hdf5.open_file(members.file("model.weights.h5"), f"{path}: model.weights.h5") as file,
            initialization_deferred(),
        ):
            contents = Contents(file)
            with variables_limited(_allowance(contents)):
                model = _built(config, custom_objects, path)
            read_variables(contents, model, ignore=() if compile else ("optimizer",))
    return model


def _modernised(config: dict[str, Any], members: archive.Members) -> dict[str, Any]:
    """The config of an archive as it is, or, where its metadata name Keras 2 (2.12 to 2.15), put into today's form."""
    try:
        version = legacy.parsed_version(json.loads(members.read("metadata.json"))["keras_version"])
    except (ValueError, KeyError, TypeError):
        return config  # the metadata only inform
    if not (2, 0) <= version < (3, 0):
        return config
    compiled = config.pop("compile_config", None)
    config = legacy.modernised(config, version)
    if compiled:
        config["compile_config"] = legacy.compile_config(
            {"optimizer_config": compiled.get("optimizer"), **compiled}, version
        )
    return config


def _load_legacy_model(path: Path, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    with _opened(path) as file, _errors_of(path), initialization_deferred():
        version = legacy.version(file)
        config = legacy.modernised(legacy.model_config(file), version)
        group = legacy.weights_group(file)
        if group is None:
            raise ValueError("it has no weights: no group has the attribute 'layer_names'.")
        training = legacy.training_config(file) if compile else None
        with variables_limited(_allowance(Contents(file))):
            model = _built(config, custom_objects, path)
            legacy.read_weights(group, model, whole=True)
            if training is not None:
                with custom_object_scope(custom_objects):
                    model.compile_from_config(legacy.compile_config(training, version))
        if training is not None and model.optimizer is not None and model.optimizer.built:
            legacy.read_optimizer(file, model.optimizer, version)
    return model


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Errors inside this block say which file they are about."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if str(path) in str(error):
            raise
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{str(path)!r}: {error}") from error


def _allowance(contents: Contents) -> int:
    """The bytes of variables that a file may declare."""
    return ALLOWANCE_FREE + ALLOWANCE_FACTOR * contents.substance()


def _built(config: dict[str, Any], custom_objects: Mapping[str, Any] | None, path: Path) -> Any:
    with _errors_of(path):
        try:
            with custom_object_scope(custom_objects), sharing():
                model = deserialize(config)
        except (ValueError, TypeError):
            raise
        except Exception as error:  # classes expect much of their configs
            raise ValueError(f"its configuration cannot be understood: {type(error).__name__}: {error}") from error
        if not hasattr(model, "saveable_children"):
            raise ValueError(f"it holds a {type(model).__name__}, not a model.")
    return model


def save_weights(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Writes the model's variables (and its optimizer's, when compiled) as a `.weights.h5` file."""
    path = _target(filepath, overwrite)
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"Expected a path that ends in '.weights.h5'. Received: {str(path)!r}")
    archive.replace(path, hdf5.to_bytes(lambda file: write_variables(file, model)))


def load_weights(
    model: Any, filepath: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Reads variables from a weights file, or from the weights of a whole model's, into a built model.

    Args:
        filepath: a `.keras` archive, a `.weights.h5` file, or an `.h5` file of Keras 2's layout.
        skip_mismatch: variables that do not fit keep what they have, with a warning.
        by_name: for files of Keras 2's layout: layers get the weights of the file's layer of their name, and layers
            without one keep theirs. Default: layers are matched in their order, whatever they are called.

    Raises:
        FileNotFoundError: no such file.
        ValueError: variables are missing, left over or of other shapes; the first few are named. The model is then as
            it was.
    """
    path = Path(filepath)
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file at {str(path)!r}.")
    if not getattr(model, "built", True):
        raise ValueError(
            f"Model {model.name!r} is not built, so that it has no weights to load. Call it on data, or `build()` it."
        )
    with _opened(path) as file:
        if path.suffix != ".keras" and legacy.is_legacy(file):
            group = legacy.weights_group(file)
            if group is None:
                raise ValueError(f"{str(path)!r} holds a model without weights.")
            legacy.read_weights(group, model, by_name=by_name, skip_mismatch=skip_mismatch, restore=not skip_mismatch)
        elif by_name:
            raise ValueError(f"by_name=True is for '.h5' files of Keras 2's layout. Received: {str(path)!r}")
        else:
            read_variables(
                Contents(file), model, ignore=("optimizer",), skip_mismatch=skip_mismatch, restore=not skip_mismatch
            )


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file at a path, or the one in the archive there."""
    if path.suffix == ".keras":
        with (
            archive.open_archive(path) as members,
            hdf5.open_file(members.file("model.weights.h5"), f"{path}: model.weights.h5") as file,
        ):
            yield file
    elif path.suffix in _HDF5:
        with path.open("rb") as stream, hdf5.open_file(stream, str(path)) as file:
            yield file
    else:
        raise ValueError(f"Expected a '.weights.h5', '.h5' or '.keras' file. Received: {str(path)!r}")


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
