"""Changed files of every kind, read by every reader of that kind, for a minute altogether."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.engine.fuzz import seeds
from tests.engine.fuzz.campaign import Fuzzer
from tests.engine.fuzz.edits import BYTES, bytes_edited
from tests.engine.fuzz.hdf5_edits import HDF5, hdf5_edited
from tests.engine.fuzz.json_edits import JSON, json_edited, json_text
from tests.engine.fuzz.protobuf_edits import ONNX, onnx_edited
from tests.engine.fuzz.zip_edits import ZIP, zip_edited


def _check(fuzzer: Fuzzer) -> None:
    """That the changes are neither all harmless nor all fatal: else nothing is tried out."""
    print(dict(fuzzer.counts))
    total = sum(fuzzer.counts.values())
    refused = sum(count for name, count in fuzzer.counts.items() if name.endswith("refused"))
    assert 0 < refused < total, fuzzer.counts


def test_exported_graphs(fuzzer: Fuzzer) -> None:
    files = seeds.exported_graphs()
    fuzzer.run(
        list(files),
        {**ONNX, **BYTES},
        lambda name, edits: bytes_edited(onnx_edited(files[name], edits), edits),
        ["load", "inspect", "channels_last"],
        "onnx",
    )
    _check(fuzzer)


def test_graphs_of_each_operator(fuzzer: Fuzzer) -> None:
    files = {f"{number:04}": content for number, content in enumerate(seeds.node_graphs())}
    fuzzer.run(list(files), ONNX, lambda name, edits: onnx_edited(files[name], edits), ["load", "inspect"], "onnx")
    _check(fuzzer)


def test_archives(fuzzer: Fuzzer, tmp_path: Path) -> None:
    files = seeds.archives(tmp_path)
    fuzzer.run(
        list(files),
        {**ZIP, **JSON, **HDF5, **BYTES},
        lambda name, edits: zip_edited(files[name], edits),
        ["load", "inspect"],
        "keras",
    )
    _check(fuzzer)


def test_models_of_the_old_layout(fuzzer: Fuzzer, tmp_path: Path) -> None:
    files = seeds.hdf5_models(tmp_path)
    fuzzer.run(
        list(files),
        {**HDF5, **JSON, **BYTES},
        lambda name, edits: bytes_edited(hdf5_edited(files[name], edits), edits),
        ["load", "inspect"],
        "h5",
    )
    _check(fuzzer)


def test_weights(fuzzer: Fuzzer, tmp_path: Path) -> None:
    files = seeds.weights(tmp_path)
    readers = ["weights", "weights_skipped", "weights_by_name", "inspect"]
    fuzzer.run(
        list(files),
        {**HDF5, **BYTES},
        lambda name, edits: bytes_edited(hdf5_edited(files[name], edits), edits),
        readers,
        "weights.h5",
    )
    _check(fuzzer)


def test_architectures_as_text(fuzzer: Fuzzer) -> None:
    values = {**seeds.configurations(), "yaml": yaml.safe_load(seeds.yaml_text().replace(b"!!python/tuple", b""))}

    def made(name: str, edits: list) -> bytes:
        return bytes_edited(json_text(json_edited(values[name], edits)), edits)

    fuzzer.run(list(values), {**JSON, **BYTES}, made, ["json", "yaml"], "json")
    _check(fuzzer)
