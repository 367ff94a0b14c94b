"""`beagle models add FILE`: what it prints, and that what it added is served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import requests
from click.testing import CliRunner
from PIL import Image

import engine
from engine import layers
from service import cli
from service.repository import ModelRepository
from tests.service.test_adding_files import report, softmax
from tests.service.test_engine_serving import beagle_serve


def test_an_added_file_is_served_over_http(tmp_path: Path) -> None:
    colours = engine.Sequential([layers.Input((6, 6, 3)), layers.GlobalAveragePooling2D(), layers.Dense(3)])
    colours.set_weights([9 * np.eye(3, dtype=np.float32), np.zeros(3, np.float32)])
    colours.save(tmp_path / "colours.h5")
    (tmp_path / "names.txt").write_text("red\ngreen\nblue\n")
    flags = ["--labels", str(tmp_path / "names.txt"), "--no-crop", "--model-repository", str(tmp_path / "models")]
    result = CliRunner().invoke(cli.main, ["models", "add", str(tmp_path / "colours.h5"), *flags])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[2:] == [
        "  input size: 6x6 (from the file)",
        "  colour: rgb (usual for three channels; --color changes it)",
        "  preprocessing: scale (small images of 6x6; --preprocess changes it)",
        "  aspect ratio: images are stretched (as asked)",
        "  output: a softmax follows (" + result.output.splitlines()[6].partition("(")[2],
        f"  labels: red, green, blue (from {tmp_path / 'names.txt'})",
    ]
    assert ModelRepository(tmp_path / "models").get().fit == "stretch"
    picture = tmp_path / "picture.png"
    Image.new("RGB", (30, 20), (0, 255, 51)).save(picture)
    with beagle_serve(tmp_path / "models", tmp_path) as (_, url):
        response = requests.post(f"{url}/predict", files={"image": picture.read_bytes()}, timeout=30)
    expected = softmax(np.array([[0.0, 9.0, 1.8]], np.float32))[0]
    predictions = {each["label"]: each["probability"] for each in response.json()["predictions"]}
    assert predictions == pytest.approx(dict(zip(("red", "green", "blue"), expected, strict=True)), abs=1e-5)


@pytest.mark.parametrize("size", ["0", "9x", "x9", "8193", "-1", "9x9x9"])
def test_a_size_that_is_none_is_wrong_usage(size: str) -> None:
    result = CliRunner().invoke(cli.main, ["models", "add", "some.keras", "--size", size])
    assert result.exit_code == 2
    assert "expected N or WIDTHxHEIGHT" in result.output


def test_control_characters_of_a_file_do_not_reach_the_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "odd.onnx").touch()
    report(monkeypatch, problems=("no \x1b[31mLoop",))
    result = CliRunner().invoke(
        cli.main, ["models", "add", str(tmp_path / "odd.onnx"), "--model-repository", str(tmp_path / "models")]
    )
    assert result.exit_code == 1
    assert "\x1b" not in result.output
