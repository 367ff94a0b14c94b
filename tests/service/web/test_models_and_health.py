"""GET /models, /healthz, /readyz, and JSON for every HTTP error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.web import predict
from tests.service.conftest import RedisServer
from tests.service.processes import eventually
from tests.service.web.conftest import LABELS, png


def test_models_are_listed_with_what_a_client_needs(client: FlaskClient) -> None:
    body = client.get("/models").json
    assert body is not None
    cats, digits = body["models"]
    assert (cats["name"], cats["default"], digits["name"], digits["default"]) == ("cats", False, "digits", True)
    assert (digits["versions"], digits["version"], digits["labels"]) == (["1", "2"], "2", 10)
    assert digits["input"] == {"width": 4, "height": 4, "color": "grey"}


def test_one_model_is_described_with_its_labels(client: FlaskClient) -> None:
    body = client.get("/models/digits").json
    assert body is not None
    assert body["label_names"] == LABELS
    assert [each["version"] for each in body["version_details"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/models/dogs", 404, "model_not_found"),
        ("POST", "/models/dogs/predict", 404, "model_not_found"),
        ("POST", "/models/digits/versions/3/predict", 404, "model_not_found"),
        ("POST", "/predict?model=dogs", 404, "model_not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/models/", 404, "not_found"),
        ("GET", "/predict", 405, "method_not_allowed"),
        ("DELETE", "/models", 405, "method_not_allowed"),
    ],
)
def test_http_errors_are_json_with_a_code(client: FlaskClient, method: str, path: str, status: int, code: str) -> None:
    response = client.open(path, method=method)
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (status, code)
    assert response.content_type == "application/json"
    assert (status == 405) == ("Allow" in response.headers)


def test_a_bug_is_an_internal_error_whose_reason_is_only_in_the_log(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(predict, "chosen_top_k", broken)
    response = client.post("/predict", data=png(), content_type="image/png")
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (500, "internal_error")
    assert b"secret" not in response.data
    assert "secret" in caplog.text


def test_ready_needs_redis_and_a_worker_of_the_default_model(
    new_app: Callable[..., Flask], new_worker: Callable[..., Any], partitions: Any
) -> None:
    client = new_app().test_client()
    response = client.get("/readyz")
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (503, "not_ready")
    assert response.json["missing"] == ["worker of digits/2"]
    new_worker(partitions, queues=(("cats", "1"),))
    assert client.get("/readyz").status_code == 503
    new_worker(partitions, queues=(("digits", "2"),))
    eventually(lambda: client.get("/readyz").status_code == 200, "ready")


def test_without_redis_the_process_is_alive_but_not_ready_and_refuses_work(
    new_app: Callable[..., Flask], new_redis_server: Callable[..., RedisServer]
) -> None:
    server = new_redis_server()
    client = new_app(redis_url=server.url).test_client()
    server.stop()
    assert client.get("/healthz").json == {"status": "ok"}
    ready = client.get("/readyz").json
    assert ready is not None
    assert "redis" in ready["missing"]
    response = client.post("/predict", data=png(), content_type="image/png")
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (503, "queue_unavailable")
    assert response.headers["Retry-After"] == "1"
    assert server.url.removeprefix("unix://") not in response.text
