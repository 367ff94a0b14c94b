"""The command line: help, versions, wrong values, models list, and local predictions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from service import classifier, cli
from service.classifier import Session
from service.repository import ServedModel
from service.settings import SETTINGS
from tests.service.marked_worker import NOT_FINITE, RAISES, load, write_repository
from tests.service.processes import ROOT, clean_environ


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "models", "marked", "other")


@pytest.fixture
def marked_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The marked model in place of the engine's."""

    class Loader:
        def __init__(self, threads: int) -> None:
            pass

        def __call__(self, served: ServedModel) -> Session:
            return load(served)

    monkeypatch.setattr(classifier, "EngineLoader", Loader)


def beagle(*arguments: str | Path, **environ: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        for setting in SETTINGS:
            for variable in setting.environ:
                patch.delenv(variable, raising=False)
        return CliRunner(env=environ).invoke(cli.main, [str(argument) for argument in arguments])


def picture(folder: Path, marker: int) -> Path:
    path = folder / f"{marker}.png"
    image = Image.new("L", (2, 2))
    image.putpixel((0, 0), marker)
    image.save(path)
    return path


def words(text: str) -> str:
    """The text without the line breaks of help pages, which may fall inside of long words too."""
    return "".join(text.split())


def test_help_of_serve_lists_every_setting_with_flag_variables_and_default() -> None:
    result = beagle("serve", "--help")
    assert result.exit_code == 0
    text = words(result.output)
    for setting in SETTINGS:
        assert setting.flag in text
        assert words(f"[{', '.join(setting.environ)}; default: {setting.default_text or 'none'}]") in text


@pytest.mark.parametrize(
    "command",
    [
        *("", "serve", "web", "worker", "predict", "models"),
        *("models list", "models add", "models inspect", "models show", "models remove"),
    ],
)
def test_every_command_has_help(command: str) -> None:
    result = beagle(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize("command", ["serve", "web", "worker"])
@pytest.mark.parametrize(
    ("flags", "environ", "named"),
    [
        (["--log-level", "loud"], {}, "--log-level"),
        ([], {"BEAGLE_LOG_FORMAT": "xml"}, "BEAGLE_LOG_FORMAT"),
        (["--redis-url", "http://somewhere"], {}, "--redis-url"),
        ([], {"REDIS_URL": "localhost"}, "REDIS_URL"),
    ],
)
def test_wrong_values_are_refused_at_start_by_name(
    command: str, flags: list[str], environ: dict[str, str], named: str
) -> None:
    result = beagle(command, *flags, **environ)
    assert result.exit_code == 2
    assert named in result.output
    assert "expected" in result.output


@pytest.mark.parametrize("command", ["serve", "web", "worker"])
@pytest.mark.parametrize("url", ["redis://localhost:99999", "redis+sentinel://here", "redis://:pw@a,redis://:pw@a"])
def test_a_redis_url_that_cannot_be_understood_is_refused_at_start(command: str, url: str) -> None:
    result = beagle(command, "--redis-url", url)
    assert result.exit_code == 2
    assert "Error: " in result.output
    assert "pw" not in result.output


def test_a_worker_command_without_workers_is_refused() -> None:
    assert beagle("worker", "--workers", "0").exit_code == 2


@pytest.mark.parametrize("command", ["serve", "web", "worker"])
def test_a_repository_that_is_not_there_is_named_and_nothing_starts(command: str, tmp_path: Path) -> None:
    result = beagle(command, "--model-repository", tmp_path / "nowhere")
    assert result.exit_code == 1
    assert str(tmp_path / "nowhere") in result.output


def test_models_list_shows_every_version_and_the_default(models: Path) -> None:
    (models / "marked" / "10").mkdir()
    (models / "marked" / "10" / "serving.toml").write_text((models / "marked" / "1" / "serving.toml").read_text())
    result = beagle("models", "list", "--model-repository", models, "--default-model", "marked")
    assert result.exit_code == 0
    assert [line.split() for line in result.output.splitlines()] == [
        ["MODEL", "VERSION", "INPUT", "LABELS", "PRECISION", "SIZE"],
        ["marked", "1", "2x2", "grey", "10", "float32", "no", "file"],
        ["marked", "10", "2x2", "grey", "10", "float32", "no", "file", "default"],
        ["other", "1", "2x2", "grey", "10", "float32", "no", "file"],
    ]


@pytest.mark.usefixtures("marked_engine")
def test_predict_prints_the_best_labels_of_the_model_asked_for(models: Path, tmp_path: Path) -> None:
    path = picture(tmp_path, 7)
    result = beagle("predict", path, "--model", "marked", "--top-k", "2", BEAGLE_MODEL_REPOSITORY=str(models))
    assert result.output.splitlines() == ["1. 7: 0.5000", "2. 0: 0.0556"]
    assert result.exit_code == 0


@pytest.mark.usefixtures("marked_engine")
def test_predict_goes_on_after_a_file_that_fails_and_says_so_in_its_status(models: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    paths = [tmp_path / "text.png", tmp_path / "missing.png", picture(tmp_path, NOT_FINITE), picture(tmp_path, 3)]
    result = beagle("predict", *paths, "--model", "marked/1", "--top-k", "1", "--model-repository", models)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines == [f"{paths[3]}:", "1. 3: 0.5000"]
    for path in paths[:3]:
        assert f"{path}: " in result.stderr


@pytest.mark.usefixtures("marked_engine")
def test_predict_reports_a_model_that_raises_without_a_traceback(models: Path, tmp_path: Path) -> None:
    result = beagle("predict", picture(tmp_path, RAISES), "--model", "marked", "--model-repository", models)
    assert result.exit_code == 1
    assert "an image broke the model" in result.stderr
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("flags", "named"),
    [(["--model", "cat"], "cat"), (["--model", "marked/9"], "9"), (["--model", "marked", "--top-k", "11"], "1 to 10")],
)
def test_predict_refuses_what_is_not_there(flags: list[str], named: str, models: Path, tmp_path: Path) -> None:
    result = beagle("predict", picture(tmp_path, 1), "--model-repository", models, *flags)
    assert result.exit_code == 2
    assert named in result.output


def test_help_imports_neither_engine_nor_web_framework_nor_queue_client() -> None:
    code = (
        "import sys, service.cli; print([n for n in ('engine', 'flask', 'redis', 'numpy', 'PIL') if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean_environ(), capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_version_names_the_program() -> None:
    result = beagle("--version")
    assert result.exit_code == 0
    assert result.output.startswith("beagle ")
