"""For the web's tests: a small repository, a worker that answers, applications, and real web processes."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from service.broker import BrokerUnavailable, ClaimedJob, WorkerBroker, connect
from service.settings import Settings
from service.web import EXTENSION
from service.web.app import create_app
from tests.service.conftest import RedisServer
from tests.service.processes import PATIENCE_S, ROOT, clean_environ, eventually, python
from tests.service.web.odd_server import OddServer, serving

LABELS = [str(digit) for digit in range(10)]

SERVING = f"""
[input]
width = 4
height = 4
color = "grey"
[output]
labels = {LABELS}
top_k = 3
[batching]
deadline_s = 20.0
"""

Answer = Callable[[ClaimedJob], bytes]


def png(value: int = 7, size: tuple[int, int] = (4, 4)) -> bytes:
    """A grey picture of one brightness; the answering worker says that brightness."""
    buffer = io.BytesIO()
    Image.new("L", size, value).save(buffer, "PNG")
    return buffer.getvalue()


def brightness(job: ClaimedJob) -> bytes:
    """Answer with the first pixel as the label, as many times as predictions were asked for."""
    payload = json.loads(job.payload)
    pixels = np.frombuffer(base64.b64decode(payload["image"]), np.uint8)
    predictions = [{"label": str(pixels[0]), "probability": 0.5}] * payload["top_k"]
    return json.dumps({"success": True, "predictions": predictions}, separators=(",", ":")).encode()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two models; `digits` is the default and has two versions."""
    for place in ("digits/1", "digits/2", "cats/1"):
        folder = tmp_path / "models" / place
        folder.mkdir(parents=True)
        (folder / "serving.toml").write_text(SERVING)
    return tmp_path / "models"


class AnsweringWorker:
    """A worker in a thread; what it claims it answers with `answer`, unless it is held back.

    Attributes:
        seen: number of jobs claimed.
        held: cleared, it claims; set, it does not.
    """

    def __init__(self, url: str, answer: Answer) -> None:
        self.seen = 0
        self.held = threading.Event()
        self._answer = answer
        self._stop = threading.Event()
        self._broker = WorkerBroker(connect(url))
        self._broker.serve({("digits", "1"): 8, ("digits", "2"): 8, ("cats", "1"): 8})
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self.held.is_set():
                    self._hold()
                    continue
                batch = self._broker.wait(0.05)
                if batch is None:
                    continue
                if self.held.is_set():
                    self._broker.give_back(batch)
                    continue
                self.seen += len(batch.jobs)
                self._broker.finish(batch, {job.uuid: self._answer(job) for job in batch.jobs}, seconds=0.001)
            except BrokerUnavailable:
                self._stop.wait(0.05)

    def _hold(self) -> None:
        """Take nothing until it is let go; a claim withdraws a worker that waits to be handed something."""
        batch = self._broker.claim()
        if batch is not None:
            self._broker.give_back(batch)
        while self.held.is_set() and not self._stop.wait(0.01):
            pass

    def close(self) -> None:
        """Stop it."""
        self._stop.set()
        self._thread.join()
        self._broker.close()


@pytest.fixture
def new_answering_worker(redis_server: RedisServer) -> Iterator[Callable[..., AnsweringWorker]]:
    """Makes answering workers, stopped in the end."""
    made: list[AnsweringWorker] = []

    def make(answer: Answer = brightness) -> AnsweringWorker:
        made.append(AnsweringWorker(redis_server.url, answer))
        return made[-1]

    yield make
    for worker in made:
        worker.close()


@pytest.fixture
def new_app(redis_server: RedisServer, repository: Path) -> Iterator[Callable[..., Flask]]:
    """Makes applications in this process, over the real server."""
    made: list[Flask] = []

    def make(**settings: object) -> Flask:
        given = {"redis_url": redis_server.url, "model_repository": repository, "max_image_bytes": 100_000, **settings}
        made.append(create_app(Settings.load({}, **given)))
        return made[-1]

    yield make
    for app in made:
        app.extensions[EXTENSION].close()


@pytest.fixture
def client(new_app: Callable[..., Flask], new_answering_worker: Callable[..., AnsweringWorker]) -> FlaskClient:
    """A client of an application with a worker that answers."""
    new_answering_worker()
    return new_app().test_client()


@dataclass
class WebProcess:
    """A started `python -m service.web`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def is_up(self) -> bool:
        """Whether it answers; fails where it has ended."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False

    def stop(self, patience_s: float = PATIENCE_S) -> int:
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        return self.process.wait(patience_s)


@pytest.fixture
def start_web(redis_server: RedisServer, repository: Path, tmp_path: Path) -> Iterator[Callable[..., WebProcess]]:
    """Starts web processes on sockets of the test's own, killed in the end."""
    started: list[WebProcess] = []

    def start(**settings: object) -> WebProcess:
        given = {"redis_url": redis_server.url, "model_repository": repository, "web_processes": 1, **settings}
        log = tmp_path / f"web{len(started)}.log"
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listener, log.open("wb") as output:
            fd = listener.fileno()
            process = subprocess.Popen(
                python("-W", "error::UserWarning", "-m", "service.web", "--fd", str(fd)),
                cwd=ROOT,
                env={**clean_environ(), **Settings.load({}, **given).to_environ()},
                pass_fds=[fd],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            port = listener.getsockname()[1]
        web = WebProcess(f"http://127.0.0.1:{port}", process, log)
        started.append(web)
        eventually(web.is_up, "the web process answers")
        return web

    yield start
    for web in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(web.process.pid, signal.SIGKILL)
        web.process.wait()


@pytest.fixture(scope="session")
def odd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OddServer]:
    """A server of `odd_application`, for tests that do not end it."""
    with serving(tmp_path_factory.mktemp("odd")) as server:
        yield server
