"""`.h5` files that are cut, flipped or forged: a clear error in bounded time and memory."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import engine
from tests.engine.saving.legacy_files import dense_model, whole_model


def _outcome(path: Path) -> str:
    """ "loaded" or "refused"; anything else is passed on."""
    started = time.monotonic()
    try:
        engine.models.load_model(path)
    except (ValueError, TypeError):
        return "refused"
    finally:
        assert time.monotonic() - started < 10
    return "loaded"


def test_a_truncated_file_is_refused_at_every_length(tmp_path: Path) -> None:
    content = dense_model(tmp_path / "m.h5").read_bytes()
    for length in sorted({*range(0, 64, 7), *range(0, len(content), len(content) // 40), len(content) - 1}):
        (tmp_path / "cut.h5").write_bytes(content[:length])
        assert _outcome(tmp_path / "cut.h5") == "refused", length


def test_flipped_bytes_are_refused_or_harmless(tmp_path: Path) -> None:
    content = dense_model(tmp_path / "m.h5").read_bytes()
    chance = random.Random(3)
    for _ in range(80):
        flipped = bytearray(content)
        for _ in range(chance.choice((1, 1, 3, 20))):
            flipped[chance.randrange(len(flipped))] = chance.randrange(256)
        (tmp_path / "flipped.h5").write_bytes(flipped)
        assert _outcome(tmp_path / "flipped.h5") in ("loaded", "refused")


def test_a_layer_of_terabytes_is_refused_before_it_is_made(tmp_path: Path) -> None:
    entry = {"class_name": "Dense", "config": {"name": "d", "units": 10**9, "batch_input_shape": [None, 10**4]}}
    path = whole_model(tmp_path / "m.h5", {"class_name": "Sequential", "config": [entry]}, {})
    tracemalloc.start()
    with pytest.raises(ValueError, match="takes 40000000000000 bytes"):
        engine.models.load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def _group(file: h5py.File) -> h5py.Group:
    return file["model_weights"]["first"]


def _replace(holder: Any, name: str, value: Any) -> None:
    del holder.attrs[name]
    holder.attrs[name] = value


def _link(file: h5py.File) -> None:
    group = _group(file)["first"]
    del group["bias:0"]
    group["bias:0"] = h5py.ExternalLink("/etc/passwd", "/x")


def _claim(file: h5py.File) -> None:
    group = _group(file)["first"]
    del group["bias:0"]
    group.create_dataset("bias:0", shape=(1 << 40,), dtype="f4", chunks=(1 << 10,))


FORGERIES: dict[str, tuple[Callable[[h5py.File], Any], str]] = {
    "no JSON": (lambda file: _replace(file, "model_config", b"{"), "not valid JSON"),
    "JSON of another kind": (lambda file: _replace(file, "model_config", b"[]"), "no JSON object"),
    "a config of no object": (lambda file: _replace(file, "model_config", b'{"a": 1}'), "not a model"),
    "deep JSON": (lambda file: _replace(file, "model_config", b'{"a":' * 9000 + b"1" + b"}" * 9000), "JSON"),
    "a config that is deep": (
        lambda file: _replace(
            file, "model_config", b'{"class_name": "Model", "config": ' + b"[" * 700 + b"]" * 700 + b"}"
        ),
        "m.h5",
    ),
    "a version that is none": (lambda file: _replace(file, "keras_version", b"new"), "no version"),
    "no weights": (lambda file: file.__delitem__("model_weights"), "has no weights"),
    "an unknown layer": (lambda file: _replace(file["model_weights"], "layer_names", [b"x"]), "no group"),
    "a layer twice": (lambda file: _replace(file["model_weights"], "layer_names", [b"first"] * 2), "twice"),
    "numbers for names": (lambda file: _replace(file["model_weights"], "layer_names", [1, 2]), "no group"),
    "names of other bytes": (lambda file: _replace(file["model_weights"], "layer_names", [b"\xff"]), "UTF-8"),
    "an unknown weight": (lambda file: _replace(_group(file), "weight_names", [b"x"]), "no dataset"),
    "a link out of the file": (_link, "link to another place"),
    "a dataset of terabytes": (_claim, "mismatch"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_file_is_refused_by_name(forgery: str, tmp_path: Path) -> None:
    change, message = FORGERIES[forgery]
    path = dense_model(tmp_path / "m.h5")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=message) as caught:
        engine.models.load_model(path)
    assert str(path) in str(caught.value)


def test_code_in_a_file_is_refused(tmp_path: Path) -> None:
    function = {"class_name": "__lambda__", "config": {"code": "4wEAAA==", "defaults": None, "closure": None}}
    entries = [
        {"class_name": "Dense", "config": {"name": "d", "units": 2, "batch_input_shape": [None, 3]}},
        {"class_name": "Lambda", "config": {"name": "evil", "function": function, "arguments": {}}},
    ]
    weights = {"d": {"d/kernel:0": np.zeros((3, 2), np.float32), "d/bias:0": np.zeros(2, np.float32)}}
    path = whole_model(tmp_path / "m.h5", {"class_name": "Sequential", "config": entries}, weights)
    with pytest.raises((ValueError, TypeError), match=r"[Ll]ambda"):
        engine.models.load_model(path)


def test_weights_read_halfway_are_taken_back(tmp_path: Path) -> None:
    model = engine.models.load_model(dense_model(tmp_path / "m.h5"))
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        del file["model_weights/first/first/bias:0"]
        file["model_weights/first/first"].create_dataset("bias:0", data=np.array(["ab", "cd"], "S2"))
        _replace(file["model_weights/first"], "weight_names", [b"first/kernel:0", b"first/bias:0"])
        file["model_weights/first/first/kernel:0"][...] = 7.0
    before = model.get_weights()
    with pytest.raises(ValueError, match="not numbers"):
        model.load_weights(tmp_path / "m.h5")
    for left, right in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_file_that_is_no_models_says_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("x", data=np.zeros(3))
        file.attrs["inputs"] = json.dumps({})
    with pytest.raises(ValueError, match="none that Keras wrote"):
        engine.models.load_model(tmp_path / "m.h5")
