"""The smallest client, as a program and against the real service."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clients.client import Client, ImageError, Prediction
from tests.service.processes import ROOT, python
from tests.service.web.conftest import AnsweringWorker, WebProcess, png

SCRIPT = ROOT / "clients/simple_request.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(python(SCRIPT, *arguments), capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def url(start_web: Callable[..., WebProcess], new_answering_worker: Callable[..., AnsweringWorker]) -> str:
    new_answering_worker()
    return start_web().url


def test_both_clients_talk_to_the_real_service(url: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(42))
    assert run(path, "--url", url).stdout.splitlines() == [f"{rank}. 42: 0.5000" for rank in (1, 2, 3)]
    own = run("--url", url)
    assert (own.returncode, len(own.stdout.splitlines())) == (0, 3)

    path.write_bytes(b"hello")
    refused = run(path, "--url", url)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("image_unreadable: ")

    with Client(url) as client:
        assert client.is_ready()
        assert client.predict(png(1), top_k=1) == [Prediction("1", 0.5)]
        assert client.predict([png(1), png(2)], top_k=1) == [[Prediction("1", 0.5)], [Prediction("2", 0.5)]]
        assert client.predict([png(3)], top_k=1, model="cats") == [[Prediction("3", 0.5)]]
        assert [model["name"] for model in client.models()] == ["cats", "digits"]
        with pytest.raises(ImageError):
            client.predict(b"")


def test_a_service_or_file_that_is_not_there_is_said_so() -> None:
    for arguments in (["--url", "http://127.0.0.1:9"], ["/nowhere.png"]):
        result = run(*arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("no answer: ")
        assert len(result.stderr.splitlines()) == 1
