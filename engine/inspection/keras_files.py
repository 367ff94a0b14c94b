"""Reports on Keras's files: archives, old HDF5 models, and weights alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.inspection.architecture import Layer, inputs_of, layers_of, outputs_of
from engine.inspection.report import ModelReport, Part
from engine.saving import archive, hdf5, keras_archive, legacy, sharding
from engine.saving.building import errors_of
from engine.saving.tree import Contents

_ALONE = "The file holds weights alone: make the model, then read them into it with `model.load_weights(path)`."
_LISTED = 20


def inspect_archive(path: Path) -> ModelReport:
    """The report of a `.keras` archive, or of the folder of one."""
    with archive.open_archive(path) as members:
        config = keras_archive.parsed_config(members, path)
        version = keras_archive.version_of(members)
        written_by = f"Keras {_written_version(members) or '.'.join(map(str, version))}"
        notes, problems = [], []
        sizes: dict[str, int] = {}
        try:
            keras_archive.check_weights(members)
            with hdf5.open_file(members.file(keras_archive.WEIGHTS), f"{path}: {keras_archive.WEIGHTS}") as file:
                sizes = {name: math.prod(hdf5.shape(dataset)) for name, dataset in Contents(file).datasets()}
        except ValueError as error:
            problems.append(str(error))
        with errors_of(path):
            layers = layers_of(config, version)
        if members.names("assets/"):
            notes.append("It brings files of its layers, such as vocabularies.")
        size = path.stat().st_size
        if path.is_dir():
            size = sum((path / name).stat().st_size for name in members.names())
    own = {name: count for name, count in sizes.items() if name.split("/")[0] not in keras_archive.STATE_OF_TRAINING}
    compiled = config.get("compile_config")
    if isinstance(compiled, dict) and compiled:
        notes.append(_compiled(compiled.get("optimizer"), compiled.get("loss"), "optimizer" in _tops(sizes)))
    counts = _by_path(layers, own)
    return _report(
        path,
        "Keras archive" + " (folder)" * path.is_dir(),
        written_by,
        size,
        config,
        layers,
        counts,
        sum(own.values()),
        problems,
        notes,
    )


def _written_version(members: archive.Members) -> str:
    """The version in an archive's metadata as it stands there; empty where there is none."""
    try:
        return _said(legacy.parsed_object(members.read(keras_archive.METADATA)).get("keras_version"))
    except ValueError:
        return ""


def inspect_hdf5(path: Path) -> ModelReport:
    """The report of an HDF5 file: a whole model of the old layout, or weights of either."""
    with hdf5.open_file(path.open("rb"), str(path)) as file, errors_of(path):
        if not legacy.is_legacy(file):
            return _weights(path, "Keras weights", "Keras", Contents(file), path.stat().st_size)
        version, text = legacy.version(file), legacy.version_text(file)
        written_by = f"Keras {text}" if text else "Keras 1 or 2"
        group = legacy.weights_group(file)
        if hdf5.attribute(file, "model_config") is None:
            return _weights(path, "Keras HDF5 weights", written_by, Contents(file), path.stat().st_size)
        config = legacy.model_config(file)
        layers = layers_of(config, version)
        problems = [] if group is not None else ["It has no weights."]
        saved = legacy.saved_layers(group) if group is not None else []
        sizes = {item.name: [(name, math.prod(hdf5.shape(data))) for name, data in item.weights] for item in saved}
        notes = []
        training = legacy.training_config(file)
        if training is not None:
            has_state = hdf5.child(file, "optimizer_weights") is not None
            notes.append(_compiled(training.get("optimizer_config"), training.get("loss"), has_state))
    total = sum(count for weights in sizes.values() for _, count in weights)
    counts = _by_name(layers, sizes)
    return _report(
        path, "Keras HDF5 model", written_by, path.stat().st_size, config, layers, counts, total, problems, notes
    )


def inspect_shards(path: Path) -> ModelReport:
    """The report of weights in several files."""
    with sharding.open_shards(path) as contents:
        size = path.stat().st_size + sum(item.stat().st_size for item in sharding.shard_paths(path))
        return _weights(path, "Keras weights in several files", "Keras", contents, size)


def _weights(path: Path, kind: str, written_by: str, contents: Contents, size: int) -> ModelReport:
    """The report of weights alone: a part for each."""
    parts = []
    for name, dataset in sorted(contents.datasets(), key=lambda item: item[0]):
        shape = hdf5.shape(dataset)
        parts.append(Part(name, "weight", math.prod(shape), shape))
    own = [part for part in parts if part.name.split("/")[0] not in keras_archive.STATE_OF_TRAINING]
    total = sum(part.parameters for part in own)
    return ModelReport(str(path), kind, written_by, size, parts=tuple(parts), parameters=total, problems=(_ALONE,))


def _report(
    path: Path,
    kind: str,
    written_by: str,
    size: int,
    config: dict[str, Any],
    layers: list[Layer],
    counts: dict[str, int],
    total: int,
    problems: list[str],
    notes: list[str],
) -> ModelReport:
    parts = tuple(Part(item.name, item.kind, counts.get(item.name, 0), item.shape, item.problem) for item in layers)
    found = [*problems, *(f"{part.name} ({part.kind}): {part.problem}" for part in parts if part.problem)]
    if len(found) > _LISTED:
        found = [*found[:_LISTED], f"and {len(found) - _LISTED} more"]
    ours = sorted({item.kind for item in layers if item.is_ours})
    if ours:
        notes = [*notes, f"layers of ours, so that Keras itself cannot open it: {', '.join(ours)}"]
    return ModelReport(
        str(path),
        kind,
        written_by,
        size,
        inputs_of(config, layers),
        outputs_of(config, layers),
        parts,
        total,
        tuple(dict.fromkeys(found)),
        tuple(notes),
    )


def _by_path(layers: list[Layer], sizes: dict[str, int]) -> dict[str, int]:
    """Parameters by layer, each counted for the innermost layer whose path it lies under."""
    places = {layer.path: layer.name for layer in layers}
    counts: dict[str, int] = {}
    for name, count in sizes.items():
        parts = name.replace("_layer_checkpoint_dependencies", "layers").split("/")
        for length in range(len(parts), -1, -1):
            owner = places.get("/".join(parts[:length]))
            if owner is not None:
                counts[owner] = counts.get(owner, 0) + count
                break
    return counts


def _by_name(layers: list[Layer], sizes: dict[str, list[tuple[str, int]]]) -> dict[str, int]:
    """Parameters by layer; those of a nested model for the layer in it whose name stands in the weight's."""
    inside: dict[str, dict[str, str]] = {}
    for layer in layers:
        if layer.models:
            inside.setdefault(layer.models[0], {}).setdefault(layer.own_name, layer.name)
    counts: dict[str, int] = {}
    for name, weights in sizes.items():
        for weight, count in weights:
            known = inside.get(name, {})
            owner = next((known[part] for part in reversed(weight.split("/")[:-1]) if part in known), name)
            counts[owner] = counts.get(owner, 0) + count
    return counts


def _tops(names: Iterable[str]) -> set[str]:
    return {name.split("/")[0] for name in names}


def _compiled(optimizer: Any, loss: Any, has_state: bool) -> str:
    state = "with" if has_state else "without"
    return f"Compiled with {_said(optimizer) or 'no optimizer'} and the loss {_said(loss)}, {state} optimizer state."


def _said(item: Any) -> str:
    """An object of a configuration by its class's name, or a function by its own."""
    if isinstance(item, dict):
        name = item.get("class_name")
        return str(item.get("config") if name == "function" else name or ", ".join(map(_said, item.values())))
    if isinstance(item, list):
        return ", ".join(map(_said, item))
    return "" if item is None else str(item)[:100]
