"""Which kind of model file a path is, and its report."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from engine.inspection import keras_files
from engine.inspection.report import ModelReport
from engine.saving.building import check_present, errors_of

_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
# Our own modules that report on other formats, and their functions.
_INSPECTORS = {".onnx": ("engine.onnx.inspection", "inspect_onnx")}


def inspect_file(path: str | os.PathLike[str]) -> ModelReport:
    """What a model file holds: `.keras` archives and their folders, `.h5` and `.weights.h5` files, `.weights.json` with
    its shards, `.onnx` files. Nothing is built, and no weight's value is read.

    Args:
        path: the file. What it holds decides; its ending does where that says nothing.

    Raises:
        FileNotFoundError: no such file.
        ValueError: none of these kinds, or damaged so that nothing can be said.
    """
    path = Path(path)
    check_present(path, "model")
    with errors_of(path):
        return _inspected(path)


def _inspected(path: Path) -> ModelReport:
    if path.is_dir():
        return keras_files.inspect_archive(path)
    with path.open("rb") as stream:
        beginning = stream.read(8)
    if beginning.startswith(_ZIP):
        return keras_files.inspect_archive(path)
    if beginning == _HDF5:
        return keras_files.inspect_hdf5(path)
    if path.name.endswith(".weights.json"):
        return keras_files.inspect_shards(path)
    if path.suffix in _INSPECTORS:
        module, name = _INSPECTORS[path.suffix]
        report: ModelReport = getattr(importlib.import_module(module), name)(path)
        return report
    kind = "It may be truncated or empty." if path.suffix in (".keras", ".h5", ".hdf5") else ""
    raise ValueError(
        f"{str(path)!r} is no model file that is known: expected a .keras archive, an .h5 or .weights.h5 file, a "
        f".weights.json, or an .onnx file. {kind}".rstrip()
    )
