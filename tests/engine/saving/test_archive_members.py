"""What an archive brings beside its configuration and weights, and other formats behind `load_model`."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from tests.engine.saving.archives import WEIGHTS, members_of, small_archive, small_model, write_members


@engine.saving.register_keras_serializable("tests")
class Remembering(engine.layers.Layer):
    """A layer of a user's with a file of its own, in Keras's way."""

    text = "nothing"

    def call(self, inputs: Any) -> Any:
        return inputs

    def save_assets(self, folder: str) -> None:
        (Path(folder) / "text.txt").write_text(self.text)

    def load_assets(self, folder: str) -> None:
        self.text = (Path(folder) / "text.txt").read_text()


def remembering_model() -> Any:
    layer = Remembering()
    layer.text = "something"
    return engine.Sequential([engine.Input((3,)), layer])


@pytest.mark.parametrize("zipped", [True, False])
def test_assets_come_back(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / ("m.keras" if zipped else "folder")
    remembering_model().save(path, zipped=zipped)
    assert engine.models.load_model(path).layers[0].text == "something"
    if zipped:
        assert members_of(path)["assets/layers/remembering/text.txt"] == b"something"


@pytest.mark.parametrize("name", ["../x", "layers/../../x", "layers//x", "layers/remembering\\x"])
def test_an_asset_whose_name_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    path = write_members(tmp_path / "n.keras", {**members, f"assets/{name}": b"x"})
    with pytest.raises(ValueError, match="leads out of its folder"):
        engine.models.load_model(path)


def test_an_asset_that_nothing_takes_is_named(tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    path = write_members(tmp_path / "n.keras", {**members, "assets/layers/dense/vocabulary.txt": b"a"})
    with pytest.raises(ValueError, match=r"no place for: assets/layers/dense/vocabulary\.txt"):
        engine.models.load_model(path)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    members["model.weights.npz"] = members.pop(WEIGHTS)
    path = write_members(tmp_path / "n.keras", members)
    for read in (engine.models.load_model, small_model().load_weights):
        with pytest.raises(ValueError, match="pickled Python objects"):
            read(path)
    assert not engine.inspection.inspect_file(path).supported


def test_the_state_of_metrics_in_archives_of_keras_2_is_no_leftover(tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    folder = tmp_path / "folder"
    small_model().save(folder, zipped=False)
    import h5py

    with h5py.File(folder / WEIGHTS, "r+") as file:
        file["metrics/mean/vars/0"] = np.zeros(())
    with pytest.raises(ValueError, match="no place for: metrics/mean/vars/0"):
        engine.models.load_model(folder)
    (folder / "metadata.json").write_text(json.dumps({"keras_version": "2.15.0"}))
    assert engine.models.load_model(folder).count_params() == small_model().count_params()
    assert set(members) == {"metadata.json", "config.json", WEIGHTS}


def test_other_formats_are_left_to_their_readers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reader = types.ModuleType("engine.onnx")
    reader.read_model = lambda path: f"read {path.name}"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "engine.onnx", reader)
    (tmp_path / "m.onnx").write_bytes(b"")
    assert engine.models.load_model(tmp_path / "m.onnx") == "read m.onnx"
