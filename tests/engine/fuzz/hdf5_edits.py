"""Edits of HDF5 files: other shapes, dtypes and storage, links that lead elsewhere, changed attributes."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import h5py
import numpy as np

from tests.engine.fuzz.edits import Edit, chosen
from tests.engine.fuzz.json_edits import JSON, json_edited, json_text

_OUTSIDE = "/etc/hostname"


def _dataset(file: h5py.File, path: str, shape: Any, dtype: Any, **options: Any) -> None:
    file.create_dataset(path, shape=shape, dtype=dtype, **options)


def _virtual(file: h5py.File, path: str) -> None:
    layout = h5py.VirtualLayout(shape=(8, 3), dtype="f4")
    layout[:] = h5py.VirtualSource(_OUTSIDE, "x", shape=(8, 3))
    file.create_virtual_dataset(path, layout)


_PUT: tuple[Callable[[h5py.File, str], Any], ...] = (
    lambda file, path: _dataset(file, path, (0,), "f4"),
    lambda file, path: _dataset(file, path, (), "f4"),
    lambda file, path: _dataset(file, path, (3,), "f8"),
    lambda file, path: _dataset(file, path, (1 << 40,), "f4", chunks=(1 << 10,)),
    lambda file, path: _dataset(file, path, (10**6, 10**6), "i1", chunks=(64, 64)),
    lambda file, path: _dataset(file, path, (1,) * 32, "f4"),
    lambda file, path: _dataset(file, path, (5000, 5000), "f4", chunks=(1, 5000), compression="gzip"),
    lambda file, path: _dataset(file, path, (8, 3), "f4", chunks=(1 << 14, 1 << 15), maxshape=(None, None)),
    lambda file, path: _dataset(file, path, (8, 3), "f4", external=[(_OUTSIDE, 0, h5py.h5f.UNLIMITED)]),
    lambda file, path: _dataset(file, path, (8, 3), "c8"),
    lambda file, path: _dataset(file, path, (8, 3), np.dtype([("a", "f4"), ("b", "i2", (1000,))])),
    lambda file, path: _dataset(file, path, (8, 3), h5py.string_dtype()),
    lambda file, path: _dataset(file, path, (8,), h5py.vlen_dtype(np.float32)),
    lambda file, path: _dataset(file, path, (8,), h5py.ref_dtype),
    lambda file, path: _dataset(file, path, (8,), h5py.enum_dtype({"a": 1}, "i1")),
    lambda file, path: _dataset(file, path, (8, 3), "V65535"),
    lambda file, path: file.create_dataset(path, data=h5py.Empty("f4")),
    lambda file, path: file.create_dataset(path, data=np.full((8, 3), np.nan, np.float32)),
    lambda file, path: file.create_group(path),
    lambda file, path: file.__setitem__(path, h5py.ExternalLink(_OUTSIDE, "/x")),
    lambda file, path: file.__setitem__(path, h5py.SoftLink("/")),
    lambda file, path: file.__setitem__(path, h5py.SoftLink(path)),
    lambda file, path: file.__setitem__(path, file["/"]),
    lambda file, path: file.__setitem__(path, np.dtype("f4")),
    _virtual,
)
_ATTRIBUTES: tuple[Any, ...] = (
    "", "x", b"\xff\xfe", 1, 2.5, np.nan, [], ["a"], [b"a", b"a"], np.zeros((3, 3)), np.arange(5000), h5py.Empty("S1"),
    b"{}", b"[]", b"null", b"1" * 5000, b"[" * 5000, b'{"class_name": "Model", "config": {}}', "2.4.0", "9999.0", "1.0",
    "bfloat16", "tensorflow", "theano", np.zeros(2, "V2"), [b"../../x"], [b"/"], [b"."], [b"a/b/c"],
)  # fmt: skip


def _paths(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visit(found.append)
    return found or ["x"]


def _put(file: h5py.File, edit: Edit) -> None:
    path = chosen(_paths(file), edit.place)
    if path in file:
        del file[path]
    chosen(_PUT, edit.choice)(file, path)


def _deleted(file: h5py.File, edit: Edit) -> None:
    del file[chosen(_paths(file), edit.place)]


def _linked(file: h5py.File, edit: Edit) -> None:
    """Another name for what is there, where something else was or nothing: also circles."""
    paths = _paths(file)
    target = chosen(paths, edit.choice)
    path = chosen((chosen(paths, edit.place), f"{chosen(paths, edit.place)}/more", "more"), edit.choice)
    item = file[target]
    if path in file:
        del file[path]
    file[path] = item


def _moved(file: h5py.File, edit: Edit) -> None:
    paths = _paths(file)
    file.move(chosen(paths, edit.place), chosen((f"{chosen(paths, edit.choice)}/x", "vars/0", "evil"), edit.choice))


def _attributes(file: h5py.File) -> list[tuple[Any, str]]:
    return [(file[path], name) for path in ("/", *_paths(file)) for name in file[path].attrs]


def _attribute(file: h5py.File, edit: Edit) -> None:
    found = _attributes(file)
    item, name = chosen(found, edit.place) if found else (file, "layer_names")
    value = chosen((*_ATTRIBUTES, None), edit.choice)
    del item.attrs[name]
    if value is not None:
        item.attrs[name] = value


def _new_attribute(file: h5py.File, edit: Edit) -> None:
    item = file[chosen(("/", *_paths(file)), edit.place)]
    names = ("layer_names", "layer_names0", "weight_names", "weight_names0", "model_config", "dtype", "keras_version")
    item.attrs[chosen(names, edit.place)] = chosen(_ATTRIBUTES, edit.choice)


HDF5: dict[str, Callable[[h5py.File, Edit], None]] = {
    "HDF5 attribute": _attribute,
    "HDF5 deleted": _deleted,
    "HDF5 linked": _linked,
    "HDF5 moved": _moved,
    "HDF5 new attribute": _new_attribute,
    "HDF5 put": _put,
}


def hdf5_edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    """An HDF5 file after some edits: of the kinds `HDF5`, and `JSON` for its configuration; others are passed over."""
    mine = [edit for edit in edits if edit.kind in HDF5 or edit.kind in JSON]
    if not mine:
        return content
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        for edit in mine:
            with contextlib.suppress(ValueError, KeyError, OSError, RuntimeError, TypeError):  # it cannot be made
                if edit.kind in JSON:
                    _configured(file, edit)
                else:
                    HDF5[edit.kind](file, edit)
    return buffer.getvalue()


def _configured(file: h5py.File, edit: Edit) -> None:
    names = [name for name in ("model_config", "training_config") if name in file.attrs]
    if not names:
        return
    name = names[0] if edit.place % 4 else names[-1]
    text = json_text(json_edited(json.loads(file.attrs[name]), [edit]))
    del file.attrs[name]
    file.attrs[name] = np.bytes_(text) if len(text) < 60_000 else b""
