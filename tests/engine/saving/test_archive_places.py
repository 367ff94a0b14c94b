"""Archives as folders whose links lead out, and paths that are no files: refused before anything waits or leaks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.inspection import inspect_file
from engine.models import load_model
from tests.engine.saving.archives import WEIGHTS, small_model


@pytest.mark.parametrize("member", ["config.json", WEIGHTS])
def test_links_out_of_a_folder_are_refused(member: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    small_model().save(folder, zipped=False)
    (folder / member).rename(tmp_path / "outside")
    (folder / member).symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="leads out of the folder"):
        load_model(folder)


def test_links_inside_a_folder_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    small_model().save(folder, zipped=False)
    (folder / "config.json").rename(folder / "other.json")
    (folder / "config.json").symlink_to("other.json")
    assert load_model(folder).name == "small"


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.onnx", "m.weights.h5", "m.weights.json"])
def test_a_pipe_is_never_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    for read in (load_model, inspect_file, small_model().load_weights):
        with pytest.raises(ValueError, match="neither a file nor a folder"):
            read(tmp_path / name)
