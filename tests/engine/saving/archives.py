"""A small model's archive, and archives that differ from it in one thing."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import engine

WEIGHTS = "model.weights.h5"


def small_model() -> Any:
    """Two dense layers, a normalisation and a convolution, with values that nothing else has."""
    layers = engine.layers
    model = engine.Sequential(
        [
            engine.Input((4, 4, 1), name="input"),
            layers.Conv2D(2, 3, name="first"),
            layers.BatchNormalization(name="normal"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="last"),
        ],
        name="small",
    )
    model.set_weights([np.full(w.shape, 0.25 + index, np.float32) for index, w in enumerate(model.get_weights())])
    return model


def members_of(path: Path) -> dict[str, bytes]:
    """The archive's members in their order."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """An archive of members."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def small_archive(path: Path) -> Path:
    """The archive of `small_model`."""
    small_model().save(path)
    return path


def with_config(path: Path, change: Callable[[Any], Any]) -> Path:
    """The small archive, its config given to `change`, which changes it in place or returns another."""
    members = members_of(small_archive(path))
    config = json.loads(members["config.json"])
    changed = change(config)
    text = json.dumps(config if changed is None else changed)
    return write_members(path, {**members, "config.json": text.encode()})


def with_layer(path: Path, layer: Any) -> Path:
    """The small archive with one more entry at the end of its layers."""
    return with_config(path, lambda config: config["config"]["layers"].append(layer))


def with_weights(path: Path, change: Callable[[h5py.File], Any]) -> Path:
    """The small archive, its open weights file given to `change`."""
    members = members_of(small_archive(path))
    buffer = io.BytesIO(members[WEIGHTS])
    with h5py.File(buffer, "r+") as file:
        change(file)
    return write_members(path, {**members, WEIGHTS: buffer.getvalue()})
