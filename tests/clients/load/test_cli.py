"""The command: what it prints, and what its exit status says."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clients.load.cli import main
from clients.load.numbered import encode
from tests.clients.load.unruly import Deed, UnrulyServer, serving
from tests.service.processes import ROOT, clean_environ, python

REQUESTS = ("--requests", "20", "--clients", "2")


@pytest.fixture
def server() -> Iterator[tuple[str, UnrulyServer]]:
    """One that answers rightly."""
    with serving() as found:
        yield found


@pytest.fixture
def image(tmp_path: Path) -> str:
    """A file with the image of 42."""
    path = tmp_path / "42.png"
    path.write_bytes(encode(42))
    return str(path)


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_a_table_for_people(server: tuple[str, UnrulyServer], image: str) -> None:
    result = command(server[0], image, *REQUESTS, "--priority", "high", "--priority", "low=1.5")
    assert result.exit_code == 0, result.output
    for said in ("200: 20", "within deadline", "100.00%", "p99.9", "high", "low"):
        assert said in result.output
    assert len(server[1].heads) == 23  # three more to learn the label


def test_json_for_machines_with_the_audit_of_the_ledger(server: tuple[str, UnrulyServer], tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    result = command(server[0], "--numbered", *REQUESTS, "--form", "raw", "--ledger", str(path), "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["report"]["planned"] == said["audit"]["requests"] == said["audit"]["ok"] == 20
    assert said["audit"]["passed"] is True
    assert len(path.read_text().splitlines()) == 21


@pytest.mark.parametrize("keeps_ledger", [False, True])
def test_one_wrong_answer_is_exit_status_1(image: str, tmp_path: Path, keeps_ledger: bool) -> None:
    more = ("--ledger", str(tmp_path / "ledger")) if keeps_ledger else ()
    with serving(lambda number: Deed(label="7" if number == 9 else None)) as (url, _):
        result = command(url, image, *REQUESTS, *more)
    assert result.exit_code == 1
    assert "wrong: 1" in result.output
    assert ("failed: 1 wrong" in result.output) == keeps_ledger


def test_a_label_may_be_given(server: tuple[str, UnrulyServer], image: str) -> None:
    assert command(server[0], image, *REQUESTS, "--expect", "042").exit_code == 0
    assert command(server[0], image, *REQUESTS, "--expect", "043").exit_code == 1
    assert len(server[1].heads) == 40


def test_first_answers_that_disagree_teach_nothing(image: str) -> None:
    with serving(lambda number: Deed(label=str(number))) as (url, _):
        result = command(url, image, *REQUESTS)
    assert result.exit_code == 1
    assert "42.png: expected 3 equal answers first, got 200 0, 200 1, 200 2" in result.output


def test_losses_in_windows_that_break_connections_are_none(tmp_path: Path) -> None:
    windows = tmp_path / "windows.jsonl"
    now = time.time()
    windows.write_text(json.dumps({"name": "kill", "began": now - 1, "ended": now + 60, "breaks": True}) + "\n\n")
    with serving(lambda number: Deed(way="close" if number == 5 else "answer")) as (url, _):
        arguments = (url, "--numbered", *REQUESTS, "--ledger", str(tmp_path / "ledger"))
        assert command(*arguments, "--windows", str(windows)).exit_code == 0
    with serving(lambda number: Deed(way="close" if number == 5 else "answer")) as (url, _):
        result = command(url, *arguments[1:])
        assert result.exit_code == 1
        assert "failed: 1 lost" in result.output


def test_a_ramp_prints_its_steps_and_the_knee(image: str) -> None:
    with serving(lambda number: Deed(after_s=0.02)) as (url, _):
        result = command(url, image, "--ramp", "clients", "--requests", "30", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [step["load"] for step in said["steps"][:2]] == [1, 2]
    assert said["knee"] >= 1
    assert "knee: " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument"),
        (("http://127.0.0.1:1",), "expected an IMAGE or more"),
        (("IMAGE",), "expected a URL"),
        (("http://127.0.0.1:1", "IMAGE", "--numbered"), "expected images or --numbered, got both"),
        (("http://127.0.0.1:1", "missing.png"), "missing.png"),
        (("ftp://127.0.0.1:1", "IMAGE", "--expect", "1"), "expected http://"),
        (("http://127.0.0.1:1", "IMAGE", "--rate", "5", "--clients", "5"), "expected clients of a closed loop or"),
        (("http://127.0.0.1:1", "IMAGE", "--rate", "0"), "--rate"),
        (("http://127.0.0.1:1", "IMAGE", "--header", "X"), "expected NAME:VALUE"),
        (("http://127.0.0.1:1", "IMAGE", "--priority", "high=much"), "expected NAME or NAME=WEIGHT"),
        (("http://127.0.0.1:1", "IMAGE", "--malformed-kind", "odd"), "--malformed-kind"),
        (("http://127.0.0.1:1", "IMAGE", "--ramp", "rate", "--ledger", "x"), "--ramp keeps no ledger"),
        (("http://127.0.0.1:1", "IMAGE", "--windows", "IMAGE"), "--windows needs --ledger"),
    ],
)
def test_a_wrong_command_line_is_exit_status_2(arguments: tuple[str, ...], message: str, image: str) -> None:
    result = command(*(image if each == "IMAGE" else each for each in arguments))
    assert result.exit_code == 2, result.output
    assert message in result.output


def test_windows_that_cannot_be_read_say_where(server: tuple[str, UnrulyServer], tmp_path: Path) -> None:
    windows = tmp_path / "windows.jsonl"
    windows.write_text('{"name": "kill", "began": 1, "ended": 2}\n{"name": "kill"}\n')
    result = command(
        server[0], "--numbered", *REQUESTS, "--ledger", str(tmp_path / "ledger"), "--windows", str(windows)
    )
    assert result.exit_code == 2
    assert "windows.jsonl:2: expected name, began and ended as JSON" in result.output


def test_it_runs_as_a_module_and_is_quiet_where_nobody_watches(server: tuple[str, UnrulyServer], image: str) -> None:
    done = subprocess.run(
        [*python("-m", "clients.load"), server[0], image, *REQUESTS, "--json"],
        cwd=ROOT,
        env=clean_environ(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["report"]["verdicts"] == {"ok": 20}
