"""`beagle models inspect`, `show` and `remove`: what they print, refuse and leave behind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import engine
from engine import inspection, layers
from engine.inspection import ModelReport, Part, Tensor
from service import cli
from service.removal import RemoveError, find_removable, remove_models
from tests.service.marked_worker import write_repository

REPORT = ModelReport(
    path="net.onnx",
    format="ONNX",
    written_by="pytorch 2.13",
    size_bytes=1_234_567,
    inputs=(Tensor("x", (None, 3, 8, 8), "float32"),),
    outputs=(Tensor("y", (None, 5), "float32"),),
    parts=(Part("first", "Conv", 1112, (None, 4, 6, 6)), Part("odd\x1b[2J", "Loop", 0, None, "no such operator")),
    parameters=1112,
    problems=("odd: Loop: no such operator",),
    notes=("opset 17",),
)


def beagle(*arguments: Any, **options: Any) -> Result:
    return CliRunner().invoke(cli.main, ["models", *map(str, arguments)], **options)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Models `marked`, in versions 1, 2 and 10, and `other`."""
    folder = write_repository(tmp_path / "models", "marked", "other")
    for version in ("2", "10"):
        (folder / "marked" / version).mkdir()
        text = (folder / "marked" / "1" / "serving.toml").read_text()
        (folder / "marked" / version / "serving.toml").write_text(text)
    return folder


def content(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# inspect -------------------------------------------------------------------------------------------------------------


def inspect(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setattr(inspection, "inspect_file", lambda path: REPORT, raising=False)
    return beagle("inspect", "net.onnx", *arguments)


def test_inspect_prints_a_table_and_the_facts_and_its_status_says_what_is_not_supported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = inspect(monkeypatch)
    assert result.exit_code == 1
    assert [line.split() for line in result.output.splitlines()] == [
        ["NAME", "KIND", "OUTPUT", "PARAMETERS"],
        ["first", "Conv", "?", "x", "4", "x", "6", "x", "6", "1,112"],
        ["odd\N{REPLACEMENT CHARACTER}[2J", "Loop", "0", "not", "supported:", "no", "such", "operator"],
        [],
        ["file", "net.onnx"],
        ["format", "ONNX"],
        ["written", "by", "pytorch", "2.13"],
        ["size", "1.2", "MB", "(1,234,567", "bytes)"],
        ["parameters", "1,112"],
        ["input", "x:", "?", "x", "3", "x", "8", "x", "8,", "float32"],
        ["output", "y:", "?", "x", "5,", "float32"],
        ["note", "opset", "17"],
        ["supported", "no"],
        ["problem", "odd:", "Loop:", "no", "such", "operator"],
    ]


def test_inspect_prints_json_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    result = inspect(monkeypatch, "--json")
    assert result.exit_code == 1
    told = json.loads(result.output)
    assert told["supported"] is False
    assert told["inputs"] == [{"name": "x", "shape": [None, 3, 8, 8], "dtype": "float32"}]
    assert told["parts"][1]["problem"] == "no such operator"


def test_inspect_of_a_real_file_builds_no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = engine.Sequential([layers.Input((4, 4, 1)), layers.Conv2D(2, 3, name="seen"), layers.Flatten()])
    model.save(tmp_path / "net.keras")
    monkeypatch.setattr(engine.Sequential, "__init__", lambda *arguments, **options: pytest.fail("it was built"))
    result = beagle("inspect", tmp_path / "net.keras", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert told["supported"] is True
    assert told["parameters"] == 20
    assert [part["kind"] for part in told["parts"] if part["name"] == "seen"] == ["Conv2D"]


@pytest.mark.parametrize("name", ["absent.keras", "broken.keras", "broken.h5"])
def test_inspect_of_what_cannot_be_read_is_one_sentence_with_a_status_of_its_own(name: str, tmp_path: Path) -> None:
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"nothing")
    result = beagle("inspect", tmp_path / name)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert result.output.strip().count("\n") == 0
    assert name in result.output


# show ----------------------------------------------------------------------------------------------------------------


def test_show_tells_all_that_is_known(repository: Path) -> None:
    model = engine.Sequential([layers.Input((2, 2, 1)), layers.Flatten(), layers.Dense(10)])
    path = repository / "marked" / "2" / "model.keras"
    model.save(path)
    result = beagle("show", "marked", "--version", "2", "--model-repository", repository)
    assert result.exit_code == 0, result.output
    told = {line[:14].strip(): line[14:].strip() for line in result.output.splitlines()}
    assert told["folder"] == str(repository / "marked" / "2")
    assert told["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told["parameters"] == "50"
    assert told["input"] == "2x2 grey, resize bilinear, fit stretch"
    assert told["labels"].startswith("10: 0, 1,")
    assert told["batches"] == "up to 32"


def test_show_of_the_newest_version_and_of_what_is_not_there(repository: Path) -> None:
    result = beagle("show", "marked", "--model-repository", repository)
    assert "10" in result.output.splitlines()[1]
    assert "model.keras (missing)" in result.output
    for arguments in (["nothing"], ["marked", "--version", "3"]):
        assert beagle("show", *arguments, "--model-repository", repository).exit_code == 2


# remove --------------------------------------------------------------------------------------------------------------


def test_remove_takes_one_version_or_all(repository: Path) -> None:
    before = content(repository)
    result = beagle("remove", "marked", "--version", "2", "--yes", "--model-repository", repository)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Removed marked version 2 from {repository}.\n")
    assert "beagle serve" in result.output
    assert content(repository) == before - {"marked/2", "marked/2/serving.toml"}
    result = beagle("remove", "marked", "--yes", "--model-repository", repository)
    assert result.output.startswith(f"Removed marked versions 1, 10 from {repository}.\n")
    assert content(repository) == {"other", "other/1", "other/1/serving.toml"}
    result = beagle("remove", "other", "--version", "1", "--yes", "--model-repository", repository)
    assert "holds no model any more" in result.output
    assert not content(repository)


def test_remove_asks_on_a_terminal_and_refuses_where_nobody_can_answer(
    monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    before = content(repository)
    refused = beagle("remove", "marked", "--model-repository", repository)
    assert refused.exit_code == 2
    assert "--yes removes marked versions 1, 2, 10 without asking" in refused.output
    monkeypatch.setattr("service.commands.models.asks", lambda: True)
    assert beagle("remove", "marked", "--model-repository", repository, input="n\n").exit_code == 1
    assert content(repository) == before
    assert beagle("remove", "marked", "--model-repository", repository, input="y\n").exit_code == 0
    assert not (repository / "marked").exists()


@pytest.mark.parametrize("name", ["absent", "..", ".", "marked/1", "models"])
def test_remove_touches_models_alone(name: str, repository: Path) -> None:
    before = content(repository)
    result = beagle("remove", name, "--yes", "--model-repository", repository)
    assert result.exit_code == 1
    assert "there are marked, other" in result.output
    assert "it has 1, 2, 10" in beagle("remove", "marked", "--version", "3", "--yes", "--model-repository",
                                       repository).output  # fmt: skip
    assert content(repository) == before


def test_a_damaged_version_can_be_removed(repository: Path) -> None:
    (repository / "marked" / "2" / "serving.toml").write_text("no toml")
    assert beagle("list", "--model-repository", repository).exit_code == 1
    assert beagle("remove", "marked", "--version", "2", "--yes", "--model-repository", repository).exit_code == 0
    assert beagle("list", "--model-repository", repository).exit_code == 0


def test_what_a_link_leads_to_is_left_alone(repository: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (repository / "other").rename(elsewhere)
    (repository / "other").symlink_to(elsewhere)
    remove_models(find_removable(repository, "other"))
    assert not (repository / "other").exists()
    assert content(elsewhere) == {"1", "1/serving.toml"}


def test_a_model_that_changed_after_the_question_is_left(repository: Path) -> None:
    found = find_removable(repository, "other")
    (repository / "other" / "2").mkdir()
    with pytest.raises(RemoveError, match="changed meanwhile"):
        remove_models(found)
    assert (repository / "other" / "1").is_dir()


def test_a_removal_that_breaks_off_leaves_no_half_of_a_version(
    monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    def fail(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", fail)
    with pytest.raises(RemoveError, match=r"is removed, but .*\.removed\.2\..* could not be deleted .*by hand"):
        remove_models(find_removable(repository, "marked", "2"))
    result = beagle("list", "--model-repository", repository)
    assert [line.split()[:2] for line in result.output.splitlines()[1:]] == [
        ["marked", "1"], ["marked", "10"], ["other", "1"]
    ]  # fmt: skip
