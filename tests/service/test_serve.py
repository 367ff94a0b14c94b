"""`beagle serve` with real processes: from upload to answer, restarts, draining, and nothing left behind."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
import requests
from PIL import Image

from service.private_folder import private_folder
from tests.service import marked_serve
from tests.service.conftest import RedisServer
from tests.service.marked_worker import HANGS, RAISES, SECONDS, write_repository
from tests.service.processes import Running, alive, children, eventually, python, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for the processes it kills")

TIMEOUT_S = 30.0


def png(marker: int) -> bytes:
    image = Image.new("L", (2, 2))
    image.putpixel((0, 0), marker)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


PICTURES = {marker: png(marker) for marker in (*range(10), RAISES, HANGS)}


class Served:
    """A running `beagle serve`."""

    def __init__(self, process: Running, temporary: Path) -> None:
        self.process = process
        self.temporary = temporary
        self.url = ""

    def post(self, marker: int) -> requests.Response:
        return requests.post(f"{self.url}/predict", files={"image": PICTURES[marker]}, timeout=TIMEOUT_S)

    def label(self, marker: int) -> str:
        response = self.post(marker)
        assert response.status_code == 200, response.text
        return str(response.json()["predictions"][0]["label"])

    def labels(self, markers: list[int], clients: int = 8) -> list[str]:
        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(self.label, markers))

    def parts(self, kind: str) -> list[int]:
        """Process ids of the supervisor's children whose command line has this in it."""
        return [pid for pid, command in children(self.process.pid).items() if kind in command]

    def everything(self) -> list[int]:
        """Process ids of the supervisor, its children, and theirs."""
        own = list(children(self.process.pid))
        return [self.process.pid, *own, *(pid for child in own for pid in children(child))]


@contextlib.contextmanager
def served(folder: Path, **environ: str) -> Iterator[Served]:
    """Run it on a free port; whatever happens its processes are gone in the end."""
    temporary = Path(tempfile.mkdtemp(prefix="b-"))  # the path of the server's socket must be short
    variables = {
        "BEAGLE_MODEL_REPOSITORY": str(folder / "models"),
        "BEAGLE_PORT": "0",
        "BEAGLE_WEB_PROCESSES": "1",
        "TMPDIR": str(temporary),
    }
    with running(python("-m", marked_serve.__name__), folder, variables | environ) as process:
        made = Served(process, temporary)
        started = [process.pid]
        try:
            ready = eventually(lambda: re.search(r"ready on (http://\S+)", process.out), "the service is ready")
            made.url = ready[1]
            started = made.everything()
            yield made
        finally:
            if process.process.poll() is None:
                started = made.everything()
            for pid in started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(temporary)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_repository(tmp_path / "models", "marked", compute_limit_s=1.0)
    return tmp_path


def test_it_answers_and_leaves_nothing_behind_when_it_is_stopped(models: Path) -> None:
    with served(models, BEAGLE_WORKERS="2") as service:
        assert service.labels(list(range(10)) * 5) == [str(n) for n in range(10)] * 5
        processes = service.everything()
        assert len(processes) == 6, "supervisor, queue server, web with one process, two workers"
        assert list(service.temporary.iterdir()), "the queue server's folder"
        assert service.process.terminate() == 0
        assert not any(map(alive, processes))
        assert not list(service.temporary.iterdir())
        with pytest.raises(requests.ConnectionError):
            service.post(1)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_it_starts_redis_server_where_asked_to(models: Path) -> None:
    with served(models, BEAGLE_REDIS_SERVER="redis-server") as service:
        assert service.label(6) == "6"
        assert service.parts("redis-server")


def test_requests_in_flight_are_answered_while_it_stops(models: Path) -> None:
    with served(models, **{SECONDS: "0.5"}) as service, ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(service.label, n) for n in range(8)]
        [socket_path] = service.temporary.glob("*/queue.sock")
        with redis.Redis(unix_socket_path=str(socket_path)) as client:
            [load] = eventually(lambda: list(client.keys("*:load")), "requests are accepted")

            def in_flight() -> int:
                return int(client.hget(load, "jobs") or 0)

            eventually(lambda: in_flight() + sum(one.done() for one in answers) == 8, "all of them are")
            assert in_flight() > 0
        service.process.process.terminate()
        assert [answer.result() for answer in answers] == [str(n) for n in range(8)]
        assert service.process.wait() == 0


def test_a_worker_that_is_killed_under_load_is_replaced_and_no_request_is_lost(models: Path) -> None:
    with served(models, BEAGLE_WORKERS="2", **{SECONDS: "0.02"}) as service, ThreadPoolExecutor(1) as pool:
        answers = pool.submit(service.labels, [n % 10 for n in range(400)], 16)
        before = service.parts("marked_worker")
        os.kill(before[0], signal.SIGKILL)
        assert answers.result() == [str(n % 10) for n in range(400)]
        eventually(lambda: len(set(service.parts("marked_worker")) | {*before}) == 3, "a new worker has started")


def test_a_worker_that_hangs_is_replaced_and_others_are_answered_meanwhile(models: Path) -> None:
    with served(models, BEAGLE_WORKERS="2") as service, ThreadPoolExecutor(1) as pool:
        before = service.parts("marked_worker")
        hanging = pool.submit(service.post, HANGS)
        assert service.labels([n % 10 for n in range(50)]) == [str(n % 10) for n in range(50)]
        response = hanging.result()
        assert response.status_code == 500
        assert response.json()["error"]["code"] == "model_failed"
        eventually(lambda: len(set(service.parts("marked_worker")) | {*before}) > 2, "a new worker has started")


def test_web_and_queue_server_are_started_again_when_they_are_killed(models: Path) -> None:
    with served(models) as service:
        for kind in ("service.web", "valkey-server"):
            [before] = service.parts(kind)
            os.kill(before, signal.SIGKILL)
            eventually(lambda kind=kind, before=before: set(service.parts(kind)) - {before}, f"{kind} runs again")
            eventually(lambda: service.post(5).ok, "it answers again")


def test_when_gunicorns_master_is_killed_another_takes_over_its_socket_and_no_request_fails(models: Path) -> None:
    with served(models, **{SECONDS: "0.01"}) as service, ThreadPoolExecutor(4) as pool:
        [master] = service.parts("service.web")
        orphans = list(children(master))
        stopping = threading.Event()

        def ask_on() -> int:
            count = 0
            while not stopping.is_set():
                assert service.label(count % 10) == str(count % 10)
                count += 1
            return count

        clients = [pool.submit(ask_on) for _ in range(4)]
        os.kill(master, signal.SIGKILL)
        eventually(lambda: not any(map(alive, orphans)), "its processes have ended")
        [another] = eventually(lambda: service.parts("service.web"), "another master runs")
        stopping.set()
        assert all(client.result() for client in clients)
        assert another != master
        assert service.label(7) == "7"


def test_everything_ends_when_the_supervisor_is_killed_and_the_next_start_clears_up(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(models) as service:
        processes = service.everything()
        service.process.process.kill()
        eventually(lambda: not any(map(alive, processes)), "all processes have ended")
        [left] = service.temporary.iterdir()
        monkeypatch.setattr(tempfile, "tempdir", str(service.temporary))
        with private_folder() as folder:
            assert list(service.temporary.iterdir()) == [folder.path]
        assert not left.exists()


def test_the_parts_apart_share_a_given_server_and_a_killed_worker_is_replaced(
    redis_server: RedisServer, models: Path
) -> None:
    variables = {"BEAGLE_REDIS_URL": redis_server.url, "BEAGLE_MODEL_REPOSITORY": str(models / "models")}
    with (
        running(python("-m", marked_serve.__name__, "worker"), models, {**variables, SECONDS: "1.0"}) as workers,
        served(models, BEAGLE_WORKERS="0", BEAGLE_REDIS_URL=redis_server.url) as service,
        ThreadPoolExecutor(1) as pool,
    ):
        assert list(service.temporary.iterdir()) == [], "no server of its own"
        assert len(service.everything()) == 3, "supervisor, web with one process"
        eventually(lambda: "serving" in workers.err, "the worker serves")
        answer = pool.submit(service.label, 4)
        client = redis_server.client
        [claimed] = eventually(lambda: list(client.keys("*:claimed:*")), "the worker is known")
        eventually(lambda: client.hlen(claimed) > 1, "it holds the job")
        [worker] = children(workers.pid)
        os.kill(worker, signal.SIGKILL)
        # Far less than the lease of two seconds: the supervisor has seen it die.
        eventually(lambda: not list(client.keys(f"*:lease:*-{worker}-*")), "reaped", patience_s=1)
        assert answer.result() == "4"
        assert workers.terminate() == 0
        assert not alive(worker)


@pytest.mark.parametrize("command", ["serve", "web"])
def test_a_port_in_use_is_one_clear_sentence_and_no_process(models: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = python("-m", "service.cli", command, "--port", str(port))
        with running(arguments, models, {"BEAGLE_MODEL_REPOSITORY": str(models / "models")}) as process:
            assert process.wait() == 1
            assert process.err.strip().count("\n") == 0
            assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in process.err


def test_a_queue_server_that_cannot_start_says_why(models: Path, tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text(f"""#!{sys.executable}
import sys
with open(sys.argv[sys.argv.index("--logfile") + 1], "a") as log:
    log.write("Fatal: no room\\n")
sys.exit(1)
""")
    program.chmod(0o755)
    variables = {"BEAGLE_MODEL_REPOSITORY": str(models / "models"), "BEAGLE_PORT": "0", "PATH": str(tmp_path)}
    with running(python("-m", "service.cli", "serve", "--redis-server", "redis-server"), models, variables) as process:
        assert process.wait() == 1
        assert "gives up: a child cannot be started child=queue-server" in process.err
        assert "Fatal: no room" in process.err
        assert "service.web" not in process.err, "nothing else was started"


def test_a_model_that_cannot_be_loaded_is_named_and_ends_the_service(models: Path) -> None:
    toml = models / "models" / "marked" / "1" / "serving.toml"
    toml.write_text(toml.read_text().replace('"9"', '"9", "10"'))
    variables = {"BEAGLE_MODEL_REPOSITORY": str(models / "models"), "BEAGLE_PORT": "0"}
    with running(python("-m", marked_serve.__name__), models, variables) as process:
        assert process.wait() == 1
        assert "'marked'" in process.err
        assert "gives up" in process.err
