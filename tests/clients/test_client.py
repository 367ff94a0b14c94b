"""The Python client against a scripted server: what it sends, understands, retries and raises."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clients.client import (
    BeagleError,
    BusyError,
    Client,
    DeadlineError,
    ImageError,
    Prediction,
    RequestError,
    ServerError,
    UnreachableError,
)

SEVEN = {"success": True, "predictions": [{"label": "7", "probability": 0.75}]}


class Script(ThreadingHTTPServer):
    """Answers requests from a list, the last one again and again; keeps what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, Any, dict[str, str]]] = [(200, SEVEN, {})]
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.times: list[float] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Script
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.times.append(time.monotonic())
        self.server.requests.append((self.path, dict(self.headers), body))
        answers = self.server.answers
        status, content, headers = answers.pop(0) if len(answers) > 1 else answers[0]
        if status == 0:  # hang up without an answer
            self.close_connection = True
            return
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST  # noqa: N815 (http.server's name)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def script() -> Iterator[Script]:
    server = Script()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(script: Script) -> Iterator[Client]:
    with Client(script.url, timeout=5) as client:
        yield client


def error(code: str, message: str = "no") -> dict[str, Any]:
    return {"success": False, "error": {"code": code, "message": message}}


def test_an_image_may_be_a_path_bytes_a_file_or_a_picture(client: Client, script: Script, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (3, 3), 9).save(path)
    data = path.read_bytes()
    with path.open("rb") as file:
        for source in (str(path), path, data, bytearray(data), memoryview(data), file, io.BytesIO(data)):
            assert client.predict(source) == [Prediction("7", 0.75)]
            assert script.requests[-1][2] == data
    for mode in ("L", "RGBA", "CMYK", "F", "1", "P"):
        client.predict(Image.new(mode, (3, 3)))
        assert Image.open(io.BytesIO(script.requests[-1][2])).mode == mode


def test_a_list_of_images_gives_a_list_of_predictions_each(client: Client, script: Script) -> None:
    script.answers = [(200, {"success": True, "predictions": [SEVEN["predictions"]] * 2}, {})]
    assert client.predict([b"a", b"b"]) == [[Prediction("7", 0.75)]] * 2
    assert script.requests[-1][2].count(b'name="image"') == 2
    script.answers = [(200, SEVEN, {})]
    assert client.predict([b"a"]) == [[Prediction("7", 0.75)]]


def test_parameters_travel_in_query_and_header(client: Client, script: Script) -> None:
    client.predict(b"x", model="cats", version=2, top_k=3, deadline=1.5)
    path, headers, _ = script.requests[-1]
    assert path == "/predict?model=cats&version=2&top_k=3"
    assert headers["X-Deadline-Ms"] == "1500"
    client.predict(b"x")
    assert script.requests[-1][0] == "/predict"
    assert "X-Deadline-Ms" not in script.requests[-1][1]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "image_unreadable", ImageError),
        (413, "image_too_large", ImageError),
        (415, "unsupported_media_type", ImageError),
        (400, "invalid_parameter", RequestError),
        (404, "model_not_found", RequestError),
        (503, "queue_full", BusyError),
        (504, "deadline_exceeded", DeadlineError),
        (500, "model_failed", ServerError),
    ],
)
def test_errors_are_exceptions_with_the_services_code(
    script: Script, status: int, code: str, kind: type[BeagleError]
) -> None:
    script.answers = [(status, error(code, "because"), {})]
    with Client(script.url, retries=0) as client, pytest.raises(kind, match=f"{code}: because") as caught:
        client.predict(b"x")
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status, caught.value.message) == (code, status, "because")


@pytest.mark.parametrize(
    "answer", [(502, b"<html>", {}), (200, b"<html>", {}), (200, [], {}), (200, {"success": True}, {})]
)
def test_an_answer_that_is_not_the_services_is_a_server_error(client: Client, script: Script, answer: Any) -> None:
    script.answers = [answer]
    with pytest.raises(ServerError) as caught:
        client.predict(b"x")
    assert caught.value.code == "invalid_answer"


@pytest.mark.alone
def test_a_busy_service_is_asked_again_when_it_says(client: Client, script: Script) -> None:
    script.answers = [(503, error("queue_full"), {"Retry-After": "0.2"}), (200, SEVEN, {})]
    assert client.predict(b"x") == [Prediction("7", 0.75)]
    assert 0.2 <= script.times[1] - script.times[0] < 2


def test_the_pause_has_a_cap_and_retries_an_end(script: Script) -> None:
    script.answers = [(503, error("queue_full"), {"Retry-After": "3600"})]
    with Client(script.url, retries=2, longest_pause=0.05) as client, pytest.raises(BusyError):
        client.predict(b"x")
    assert len(script.requests) == 3


def test_other_errors_are_not_tried_again(client: Client, script: Script) -> None:
    script.answers = [(400, error("image_empty"), {})]
    with pytest.raises(ImageError):
        client.predict(b"x")
    assert len(script.requests) == 1


def test_a_connection_that_breaks_is_tried_again_with_the_whole_image(client: Client, script: Script) -> None:
    script.answers = [(0, b"", {}), (200, SEVEN, {})]
    assert client.predict(io.BytesIO(b"whole")) == [Prediction("7", 0.75)]
    assert [body for _, _, body in script.requests] == [b"whole", b"whole"]


def test_a_service_that_is_not_there_or_silent_is_unreachable(script: Script) -> None:
    with Client("http://127.0.0.1:9", retries=0) as client:
        assert not client.is_ready()
        with pytest.raises(UnreachableError):
            client.predict(b"x")
    script.answers = [(200, b"", {"Content-Length": "10"})]  # promises ten bytes that never come
    with Client(script.url, retries=0, timeout=0.2) as client, pytest.raises(UnreachableError):
        client.predict(b"x")


def test_models_and_readiness_are_asked_for(client: Client, script: Script) -> None:
    script.answers = [(200, {"models": [{"name": "digits"}]}, {})]
    assert client.models() == [{"name": "digits"}]
    script.answers = [(404, error("model_not_found"), {})]
    with pytest.raises(RequestError):
        client.model("a/b")
    assert script.requests[-1][0] == "/models/a%2Fb"
    assert not client.is_ready()


@pytest.mark.parametrize("source", [5, None, io.StringIO("text"), object()])
def test_what_is_no_image_is_refused_before_anything_is_sent(client: Client, script: Script, source: Any) -> None:
    with pytest.raises(TypeError, match="expected a "):
        client.predict(source)
    with pytest.raises(ValueError, match="empty list"):
        client.predict([])
    assert script.requests == []


@pytest.mark.parametrize("options", [{"timeout": 0}, {"retries": -1}, {"longest_pause": -1}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected timeout > 0"):
        Client(**options)
