"""Weights in several files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from tests.engine.keras_reference import keras
from tests.engine.saving.archives import small_model


def _model(library: Any) -> Any:
    layers = library.layers
    return library.Sequential([library.Input((4,)), layers.Dense(8), layers.BatchNormalization(), layers.Dense(3)])


@pytest.mark.parametrize(("writer", "reader"), [(keras, engine), (engine, keras), (engine, engine)])
def test_shards_travel(writer: Any, reader: Any, tmp_path: Path) -> None:
    model = _model(writer)
    model.set_weights([np.full(np.shape(w), 1.0 + number) for number, w in enumerate(model.get_weights())])
    model.save_weights(tmp_path / "m.weights.json", max_shard_size=180 / 2**30)
    assert len(list(tmp_path.glob("m_0*.weights.h5"))) >= 3
    read = _model(reader)
    read.load_weights(tmp_path / "m.weights.json")
    for left, right in zip(read.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def _shards(folder: Path) -> Path:
    small_model().save_weights(folder / "m.weights.h5", max_shard_size=100 / 2**30)
    return folder / "m.weights.json"


def test_a_variable_larger_than_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_shard_size"):
        small_model().save_weights(tmp_path / "m.weights.json", max_shard_size=4 / 2**30)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../m_00000.weights.h5", "expected the name"),
        ("/etc/passwd", "expected the name"),
        ("absent.weights.h5", "not beside it"),
        (3, "expected the name"),
        (None, "expected the name"),
    ],
)
def test_a_map_names_files_beside_it_alone(name: Any, message: str, tmp_path: Path) -> None:
    path = _shards(tmp_path)
    config = json.loads(path.read_text())
    config["weight_map"]["/layers/dense/vars"] = name
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        small_model().load_weights(path)


@pytest.mark.parametrize("text", ["", "[]", '{"weight_map": []}', "[" * 100_000])
def test_a_damaged_map_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "m.weights.json").write_text(text)
    with pytest.raises(ValueError, match=r"m\.weights\.json"):
        small_model().load_weights(tmp_path / "m.weights.json")


def test_a_missing_shard_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    path = _shards(tmp_path)
    config = json.loads(path.read_text())
    del config["weight_map"]["/layers/dense/vars"]
    last = sorted(tmp_path.glob("m_0*.weights.h5"))[-1]
    config["weight_map"] = {group: name for group, name in config["weight_map"].items() if last.name not in name}
    path.write_text(json.dumps(config))
    model = small_model()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    with pytest.raises(ValueError, match="expects"):
        model.load_weights(path)
    assert not any(np.any(weight) for weight in model.get_weights())
