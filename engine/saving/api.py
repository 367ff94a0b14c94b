"""Saving and loading whole models and weights, by the path's extension and by what a file holds."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.saving import archive, hdf5, keras_archive, legacy, sharding
from engine.saving.building import check_present, errors_of
from engine.saving.tree import Contents, read_variables, write_variables

if TYPE_CHECKING:
    import h5py

# The release of Keras whose layout our archives follow; readers only inform themselves by it.
KERAS_VERSION = "3.15.1"

_HDF5 = (".h5", ".hdf5", ".hdf")
# Our own modules that read other formats (`read_model(path)`), imported when such a file is asked for.
_READERS = {".onnx": "engine.onnx"}


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
    keras_archive.write_archive(path, model, KERAS_VERSION, zipped)


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Reads a `.keras` archive (or the unzipped folder of one), an `.h5` file of Keras 1, 2 or 3, or an `.onnx` file.

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
    check_present(path, "model")
    if path.suffix in _READERS and path.is_file():
        return importlib.import_module(_READERS[path.suffix]).read_model(path)
    if path.suffix in _HDF5 and path.is_file():
        with hdf5.open_file(path.open("rb"), str(path)) as file:
            return legacy.read_model(file, path, custom_objects, compile)
    if path.suffix != ".keras" and not path.is_dir():
        raise ValueError(
            "Expected a '.keras' file, the folder of an unzipped one, an '.h5' or an '.onnx' file. "
            f"Received: {str(path)!r}"
        )
    return keras_archive.read_archive(path, custom_objects, compile)


def save_weights(
    model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, max_shard_size: float | None = None
) -> None:
    """Writes the model's variables (and its optimizer's, when compiled).

    Args:
        model: a model.
        filepath: ends in ".weights.h5"; with `max_shard_size` in ".weights.json", which then tells what lies in which
            of the files `…_00000.weights.h5`, … beside it.
        overwrite: whether to replace what is there.
        max_shard_size: GiB of values that one file holds at most; default: all in one.

    Raises:
        ValueError: the path ends in something else, or a variable is larger than a file may be.
        FileExistsError: it exists and `overwrite` is False.
    """
    if max_shard_size is not None:
        path = _target(sharding.index_path(Path(filepath)), overwrite)
        sharding.write_shards(path, model, max_shard_size)
        return
    path = _target(filepath, overwrite)
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"Expected a path that ends in '.weights.h5'. Received: {str(path)!r}")
    archive.replace(path, hdf5.to_bytes(lambda file: write_variables(file, model)))


def load_weights(
    model: Any, filepath: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Reads variables from a weights file, or from the weights of a whole model's, into a built model.

    An optimizer that is built already (the model was trained, or `optimizer.build` called) gets the state in Keras 3's
    files, its learning rate included, as in Keras; one of another kind warns and keeps its own.

    Args:
        filepath: a `.keras` archive, a `.weights.h5` file, the `.weights.json` of several, or an `.h5` file of
            Keras 2's layout.
        skip_mismatch: variables that do not fit keep what they have, with a warning.
        by_name: for files of Keras 2's layout: layers get the weights of the file's layer of their name, and layers
            without one keep theirs. Default: layers are matched in their order, whatever they are called.

    Raises:
        FileNotFoundError: no such file.
        ValueError: variables are missing, left over or of other shapes; the first few are named. The model is then as
            it was.
    """
    path = Path(filepath)
    check_present(path, "weights")
    if not getattr(model, "built", True):
        raise ValueError(
            f"Model {model.name!r} is not built, so that it has no weights to load. Call it on data, or `build()` it."
        )
    with errors_of(path):
        is_index = path.name.endswith(sharding.SUFFIX)
        if not is_index:
            with _opened(path) as file:
                if path.suffix != ".keras" and legacy.is_legacy(file):
                    group = legacy.weights_group(file)
                    if group is None:
                        raise ValueError(f"{str(path)!r} holds a model without weights.")
                    legacy.read_weights(
                        group, model, by_name=by_name, skip_mismatch=skip_mismatch, restore=not skip_mismatch
                    )
                    return
        if by_name:
            raise ValueError(f"by_name=True is for '.h5' files of Keras 2's layout. Received: {str(path)!r}")
        with sharding.open_shards(path) if is_index else _contents(path) as contents:
            read_variables(
                contents,
                model,
                ignore=keras_archive.STATE_OF_TRAINING,
                skip_mismatch=skip_mismatch,
                restore=not skip_mismatch,
            )
            optimizer = getattr(model, "optimizer", None)
            has_state = any(name.startswith("optimizer/") for name in contents.groups())
            if optimizer is not None and optimizer.built and has_state:
                legacy.read_numbered_optimizer(contents, optimizer, exact=True)


@contextmanager
def _contents(path: Path) -> Iterator[Contents]:
    with _opened(path) as file:
        yield Contents(file)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file at a path, or the one in the archive there."""
    if path.suffix == ".keras":
        with archive.open_archive(path) as members:
            keras_archive.check_weights(members)
            with hdf5.open_file(members.file(keras_archive.WEIGHTS), f"{path}: {keras_archive.WEIGHTS}") as file:
                yield file
    elif path.suffix in _HDF5:
        with path.open("rb") as stream, hdf5.open_file(stream, str(path)) as file:
            yield file
    else:
        raise ValueError(f"Expected a '.weights.h5', '.weights.json', '.h5' or '.keras' file. Received: {str(path)!r}")


def _target(filepath: str | os.PathLike[str], overwrite: bool) -> Path:
    path = Path(filepath)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; pass overwrite=True to replace it.")
    return path
