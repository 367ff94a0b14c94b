"""deploy/nginx/nginx.conf in a real nginx on loopback, over two real web processes and two real workers."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from PIL import Image

from service.settings import MIB, Settings
from tests.deploy.rendering import CONFIGURATION, render
from tests.service import marked_worker
from tests.service.conftest import RedisServer
from tests.service.marked_worker import SECONDS, write_repository
from tests.service.processes import Running, children, eventually, free_port, python, running

NGINX = shutil.which("nginx")
TIMEOUT_S = 30.0

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def png(marker: int) -> bytes:
    image = Image.new("L", (2, 2))
    image.putpixel((0, 0), marker)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


PICTURES = [png(marker) for marker in range(10)]


@dataclass
class Balanced:
    """nginx before two web processes."""

    url: str
    ports: tuple[int, int]
    webs: list[Running]
    nginx: Running

    def label(self, marker: int) -> str:
        response = requests.post(f"{self.url}/predict", files={"image": PICTURES[marker]}, timeout=TIMEOUT_S)
        assert response.status_code == 200, response.text
        return str(response.json()["predictions"][0]["label"])

    def tried(self) -> list[list[int]]:
        """For every prediction that nginx has logged: the ports of the web processes that were tried."""
        entries = [json.loads(line) for line in self.nginx.out.splitlines()]
        return [
            [int(address.rpartition(":")[2]) for address in entry["upstream"].split(", ")]
            for entry in entries
            if "/predict" in entry["request"]
        ]

    def kill_web(self, number: int) -> None:
        """Kill a web and the processes it started, at once and without a word."""
        web = self.webs[number]
        for pid in [web.pid, *children(web.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def balance(folder: Path) -> Iterator[Balanced]:
    """Redis, two workers, two webs, and nginx before them, all of our own."""
    stack = contextlib.ExitStack()
    server = RedisServer()
    stack.callback(server.remove)
    environ = {
        "REDIS_URL": server.url,
        "BEAGLE_MODEL_REPOSITORY": str(write_repository(folder / "models", "marked")),
        "BEAGLE_WEB_PROCESSES": "1",
        SECONDS: "0.01",
    }
    ports, listen = (free_port(), free_port()), free_port()
    open_folder = Path(tempfile.mkdtemp(prefix="beagle-nginx-"))  # pytest's are closed to nginx's other user
    open_folder.chmod(0o755)
    stack.callback(shutil.rmtree, open_folder, ignore_errors=True)
    configuration = open_folder / "nginx.conf"
    configuration.write_text(render(ports, listen, open_folder))
    with stack:
        webs = [
            stack.enter_context(running(python("-m", "service.cli", "web", "--port", str(port)), folder, environ))
            for port in ports
        ]
        workers = [
            stack.enter_context(running(python("-m", marked_worker.__name__), folder, environ)) for _ in range(2)
        ]
        command = [NGINX or "", "-e", "stderr", "-p", open_folder, "-c", configuration, "-g", "daemon off;"]
        nginx = stack.enter_context(running([str(part) for part in command], folder))
        made = Balanced(f"http://127.0.0.1:{listen}", ports, webs, nginx)

        def ready(port: int) -> bool:
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=TIMEOUT_S).ok
            return False

        for worker in workers:
            eventually(lambda worker=worker: "serving" in worker.err, "the worker serves")
        for port in (*ports, listen):
            eventually(lambda port=port: ready(port), f"port {port} is ready")
        yield made
        assert nginx.process.poll() is None, nginx.err
        assert "[emerg]" not in nginx.err
        assert "[crit]" not in nginx.err


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    """For tests that kill nobody."""
    with balance(tmp_path_factory.mktemp("balanced")) as made:
        yield made


def test_both_web_processes_take_requests(balanced: Balanced) -> None:
    with ThreadPoolExecutor(8) as pool:
        labels = list(pool.map(balanced.label, [n % 10 for n in range(100)]))
    assert labels == [str(n % 10) for n in range(100)]
    tried = eventually(lambda: t if len(t := balanced.tried()) >= 100 else None, "nginx has written its log")
    shares = Counter(port for ports in tried for port in ports)
    assert min(shares[port] for port in balanced.ports) > 25, shares


def test_no_client_notices_that_a_web_process_is_killed_under_load(tmp_path: Path) -> None:
    with balance(tmp_path) as balanced:
        with ThreadPoolExecutor(16) as pool:
            answers = [pool.submit(balanced.label, n % 10) for n in range(400)]
            eventually(lambda: sum(answer.done() for answer in answers) > 50, "the load is on")
            balanced.kill_web(0)
            assert not all(answer.done() for answer in answers)
            assert [answer.result() for answer in answers] == [str(n % 10) for n in range(400)]
        tried = eventually(lambda: t if len(t := balanced.tried()) == 400 else None, "nginx has written its log")
        assert list(balanced.ports) in tried, "a request was sent again to the other one"

        balanced.kill_web(1)
        response = requests.post(f"{balanced.url}/predict", files={"image": PICTURES[1]}, timeout=TIMEOUT_S)
        assert response.status_code == 502
        assert response.headers["Retry-After"] == "1"
        assert response.json()["error"]["code"] == "web_unavailable"


def test_a_body_that_nginx_refuses_gets_an_error_in_the_form_of_the_service(balanced: Balanced) -> None:
    client = http.client.HTTPConnection(balanced.url.removeprefix("http://"), timeout=TIMEOUT_S)
    client.putrequest("POST", "/predict")
    client.putheader("Content-Length", str(10**12))
    client.endheaders()
    refused = client.getresponse()
    assert refused.status == 413
    assert refused.headers.get_content_type() == "application/json"
    assert json.loads(refused.read())["error"]["code"] == "image_too_large"
    client.close()


def test_what_is_no_http_gets_an_error_in_the_form_of_the_service(balanced: Balanced) -> None:
    host, _, port = balanced.url.removeprefix("http://").partition(":")
    for head in (
        b"\x16\x03\x01 no request\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nno header\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"TRACE /healthz HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: unheard-of\r\n\r\n",
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: here\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), TIMEOUT_S) as client:
            client.sendall(head)
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.status == 400, head[:60]
            assert json.loads(answer.read())["error"]["code"] == "bad_request"


def test_errors_of_the_service_pass_nginx_unchanged(balanced: Balanced) -> None:
    response = requests.post(f"{balanced.url}/predict", files={"image": b"no image"}, timeout=TIMEOUT_S)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "image_unreadable"
    response = requests.get(f"{balanced.url}/nowhere", timeout=TIMEOUT_S)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


def test_large_bodies_are_taken_as_far_as_the_service_takes_them() -> None:
    [limit] = re.findall(r"client_max_body_size (\d+)m;", CONFIGURATION.read_text())
    assert int(limit) * MIB == Settings().max_body_bytes
