"""Predictions pass Flask by, are answered alike by both ways, and fail as they should whenever the broker refuses."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder

from service.broker import BrokerUnavailable, QueueFull
from service.settings import Settings
from service.web import EXTENSION, decoder
from service.web.app import create_app
from service.web.predict import answer_prediction
from tests.service.web.conftest import png

OK = b'{"success":true,"predictions":[]}'


class Job:
    """A submission whose outcome is known."""

    def __init__(self, outcome: bytes | Exception) -> None:
        self.outcome = outcome
        self.cancelled = False

    def accepted(self) -> None:
        if isinstance(self.outcome, Exception):
            raise self.outcome

    def result(self) -> bytes:
        self.accepted()
        assert isinstance(self.outcome, bytes)
        return self.outcome

    def cancel(self) -> None:
        self.cancelled = True


class Broker:
    """Takes every submission at once, and tells with the results what became of them."""

    def __init__(self, *outcomes: bytes | Exception, admits: Exception | None = None) -> None:
        self.jobs = [Job(outcome) for outcome in outcomes]
        self.admits = admits
        self.submitted: list[dict[str, Any]] = []

    def admit(self, model: str, version: str, deadline_s: float) -> None:
        if self.admits:
            raise self.admits

    def submit(self, model: str, version: str, payload: bytes, **options: Any) -> Job:
        self.submitted.append({"model": model, "version": version, **options})
        return self.jobs[len(self.submitted) - 1]

    def close(self) -> None:
        pass


@pytest.fixture
def new_app_over(repository: Path) -> Callable[..., Flask]:
    def make(broker: Any, **settings: Any) -> Flask:
        return create_app(Settings.load({}, model_repository=repository, **settings), broker=broker)

    return make


def post(app: Flask, path: str = "/predict", images: int = 1, **options: Any) -> Any:
    data = {"image": [(io.BytesIO(png(i)), "a.png") for i in range(images)]}
    return app.test_client().post(path, data=data, **options)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/predict", ("digits", "2")),
        ("/predict?model=cats", ("cats", "1")),
        ("/models/digits/predict", ("digits", "2")),
        ("/models/digits/versions/1/predict", ("digits", "1")),
    ],
)
def test_predictions_do_not_enter_flask(new_app_over: Callable[..., Flask], path: str, place: tuple[str, str]) -> None:
    broker = Broker(OK)
    app = new_app_over(broker)
    app.before_request(lambda: pytest.fail("it came through Flask"))
    response = post(app, path)
    assert (response.status_code, response.content_type, response.data) == (200, "application/json", OK)
    assert [(job["model"], job["version"]) for job in broker.submitted] == [place]


@pytest.mark.parametrize(
    "path", ["/models/d%C3%B6gs/predict", "/models/digits/versions/01/predict", "/models/-a/predict"]
)
def test_names_that_no_model_can_have_are_not_found(new_app_over: Callable[..., Flask], path: str) -> None:
    response = post(new_app_over(Broker()), path)
    assert (response.status_code, response.json["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("header", [None, "high", "normal", "low"])
def test_the_priority_asked_for_is_that_of_the_job(new_app_over: Callable[..., Flask], header: str | None) -> None:
    broker = Broker(OK)
    assert post(new_app_over(broker), headers={"X-Priority": header} if header else {}).status_code == 200
    assert [job["priority"] for job in broker.submitted] == [header or "normal"]


@pytest.mark.parametrize("header", ["", "urgent", "HIGH", "0"])
def test_any_other_priority_is_refused_before_the_body_is_read(new_app_over: Callable[..., Flask], header: str) -> None:
    broker = Broker()
    response = (
        new_app_over(broker)
        .test_client()
        .post(
            "/predict", headers={"X-Priority": header}, environ_overrides={"wsgi.input": None, "CONTENT_LENGTH": "50"}
        )
    )
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (400, "invalid_parameter")
    assert "high, normal, low" in response.json["error"]["message"]
    assert broker.submitted == []


@pytest.mark.parametrize(
    ("refusal", "code", "retry_after"),
    [
        (QueueFull("the queue is full", 2.5), "queue_full", "3"),
        (BrokerUnavailable("unix:///secret"), "queue_unavailable", "1"),
    ],
    ids=["full", "unavailable"],
)
@pytest.mark.parametrize("when", ["admission", "result"])
def test_a_refusal_is_a_503_that_says_when_to_come_back(
    new_app_over: Callable[..., Flask], refusal: Exception, code: str, retry_after: str, when: str
) -> None:
    broker = Broker(refusal) if when == "result" else Broker(admits=refusal)
    response = post(new_app_over(broker))
    assert (response.status_code, response.json["error"]["code"]) == (503, code)
    assert response.headers["Retry-After"] == retry_after
    assert "secret" not in response.text


def test_where_one_of_several_images_is_refused_the_others_are_cancelled(new_app_over: Callable[..., Flask]) -> None:
    broker = Broker(OK, QueueFull("the queue is full", 1.0), OK)
    assert post(new_app_over(broker), images=3).status_code == 503
    assert all(job.cancelled for job in broker.jobs), "nobody would read the answer of the first either"


def test_a_deadline_that_passes_while_the_body_arrives_is_a_504_and_nothing_is_submitted(
    new_app_over: Callable[..., Flask],
) -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            until = time.monotonic() + 0.02
            while time.monotonic() < until:
                pass
            return super().read1(min(size or 1, 10))

    broker, body = Broker(OK), Slow(png())
    response = (
        new_app_over(broker)
        .test_client()
        .post(
            "/predict",
            headers={"X-Deadline-Ms": "10"},
            content_type="image/png",
            environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": str(len(png()))},
        )
    )
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (504, "deadline_exceeded")
    assert broker.submitted == []
    assert body.tell() == 10  # the rest was not waited for


@pytest.mark.parametrize(
    ("deadline_ms", "status", "code"), [("50", 504, "deadline_exceeded"), ("5000", 408, "upload_stalled")]
)
def test_a_body_that_stalls_costs_no_more_than_the_deadline_and_the_longest_pause(
    new_app_over: Callable[..., Flask], deadline_ms: str, status: int, code: str
) -> None:
    broker = Broker(OK)
    client = new_app_over(broker, upload_pause_s=0.2).test_client()
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as body:
        theirs.sendall(png()[:20])
        response = client.post(
            "/predict",
            headers={"X-Deadline-Ms": deadline_ms},
            content_type="image/png",
            environ_overrides={"wsgi.input": body, "gunicorn.socket": ours, "CONTENT_LENGTH": "100"},
        )
        assert ours.gettimeout() is None
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (status, code)
    assert broker.submitted == []


class Leaving:
    """A watcher all of whose clients hang up at once."""

    @contextlib.contextmanager
    def watching(self, connection: Any, on_gone: Callable[[], None]) -> Iterator[None]:
        on_gone()
        yield


def test_for_a_client_that_hung_up_nothing_is_decoded_or_submitted(
    new_app_over: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "prepare_image", lambda *_: pytest.fail("decoded"))
    broker = Broker(OK)
    app = new_app_over(broker)
    context = dataclasses.replace(app.extensions[EXTENSION], watcher=Leaving())
    builder = EnvironBuilder(path="/predict", method="POST", data=png(7, (300, 300)), content_type="image/png")
    answer = answer_prediction(context, builder.get_environ())
    # Seen by none but those that shut down only one side.
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "bad_request")
    assert broker.submitted == []


def test_a_deadline_that_passes_just_before_the_submission_is_a_504(
    new_app_over: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Broker(*[OK] * 20)
    app = new_app_over(broker)
    passing = iter(range(1_000_000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(passing)))  # a second for each look at the clock
    statuses = {post(app, headers={"X-Deadline-Ms": f"{seconds}000"}).status_code for seconds in range(1, 20)}
    assert statuses == {200, 504}
    assert all(each["deadline_s"] > 0 for each in broker.submitted)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (json.dumps({"image": "", "top_k": "x" * 1_000_000}), "application/json"),
        (json.dumps({"image": "", "top_k": ["x" * 1000] * 1000}), "application/json"),
        ("".join(f'--b\r\nContent-Disposition: form-data; name="{i:01000}"\r\n\r\n\r\n' for i in range(900)) + "--b--",
         "multipart/form-data; boundary=b"),
    ],
    ids=["text", "list", "fields"],
)  # fmt: skip
def test_errors_do_not_repeat_megabytes(new_app_over: Callable[..., Flask], data: str, kind: str) -> None:
    response = new_app_over(Broker()).test_client().post("/predict", data=data, content_type=kind)
    assert response.status_code == 400
    assert len(response.data) < 1000


def test_other_paths_and_methods_are_flasks(new_app_over: Callable[..., Flask]) -> None:
    client = new_app_over(Broker()).test_client()
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/predict").status_code == 405
    assert client.post("/predict/").status_code == 404
    assert "POST" in client.options("/predict").headers["Allow"]
