"""POST /predict in this process, over a real server with a worker that answers."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.web import EXTENSION
from tests.service.conftest import RedisServer
from tests.service.web.conftest import AnsweringWorker, png


def text(value: int = 7) -> str:
    return base64.b64encode(png(value)).decode()


def files(*values: int) -> dict[str, Any]:
    return {"data": {"image": [(io.BytesIO(png(value)), "a.png") for value in values]}}


def labels(predictions: list[dict[str, Any]]) -> list[str]:
    return [prediction["label"] for prediction in predictions]


@pytest.mark.parametrize(
    "body",
    [
        files(7),
        {"data": png(), "content_type": "image/png"},
        {"data": png(), "content_type": "application/octet-stream"},
        {"json": {"image": text()}},
        {"json": {"image": "data:image/png;base64," + text()}},
        {"data": json.dumps({"image": text()}), "content_type": "application/vnd.beagle+json"},
    ],
    ids=["multipart", "raw", "octets", "json", "data-uri", "other-json"],
)
def test_one_image_in_any_form_is_answered_with_its_predictions(client: FlaskClient, body: dict[str, Any]) -> None:
    response = client.post("/predict", **body)
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.json == {"success": True, "predictions": [{"label": "7", "probability": 0.5}] * 3}


@pytest.mark.parametrize(
    "body", [files(1, 2, 3), {"json": {"images": [text(1), text(2), text(3)]}}], ids=["multipart", "json"]
)
def test_several_images_are_answered_in_their_order(client: FlaskClient, body: dict[str, Any]) -> None:
    response = client.post("/predict?top_k=1", **body)
    assert response.json is not None
    assert [labels(each) for each in response.json["predictions"]] == [["1"], ["2"], ["3"]]


def test_a_list_of_one_image_is_answered_with_a_list(client: FlaskClient) -> None:
    response = client.post("/predict", json={"images": [text(9)], "top_k": 1})
    assert response.json == {"success": True, "predictions": [[{"label": "9", "probability": 0.5}]]}


@pytest.mark.parametrize(
    "path",
    [
        "/predict?model=cats",
        "/predict?model=digits&version=1",
        "/models/cats/predict",
        "/models/digits/versions/1/predict",
    ],
)
def test_models_are_named_by_path_or_query(client: FlaskClient, path: str) -> None:
    assert client.post(path, **files(7)).status_code == 200


@pytest.mark.alone
def test_the_job_goes_to_the_queue_of_the_model_and_version_named(
    new_app: Callable[..., Flask], redis_server: RedisServer, new_worker: Callable[..., Any], partitions: Any
) -> None:
    new_worker(partitions, queues=(("cats", "1"),))
    response = new_app().test_client().post("/models/cats/predict", headers={"X-Deadline-Ms": "50"}, **files(7))
    assert response.status_code == 504
    assert any(b"cats" in key for key in redis_server.client.scan_iter())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict?top_k=2", {"json": {"image": text(), "top_k": 9}}),
        ("/predict", {"json": {"image": text(), "top_k": 2}}),
        ("/predict", {"data": {"image": (io.BytesIO(png()), "a.png"), "top_k": "2"}}),
    ],
    ids=["query", "json", "form"],
)
def test_top_k_comes_from_the_query_before_the_body(client: FlaskClient, path: str, body: dict[str, Any]) -> None:
    response = client.post(path, **body)
    assert response.json is not None
    assert len(response.json["predictions"]) == 2


@pytest.mark.parametrize("value", ["0", "11", "-1", "two", "1.0", "", "٣", "9" * 30])
def test_a_wrong_top_k_in_the_query_is_refused(client: FlaskClient, value: str) -> None:
    response = client.post("/predict", query_string={"top_k": value}, **files(7))
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (400, "invalid_parameter")
    assert "1 to 10" in response.json["error"]["message"]


@pytest.mark.parametrize("value", [True, 1.5, None, [1], 11])
def test_a_wrong_top_k_in_json_is_refused_unless_it_is_null(client: FlaskClient, value: Any) -> None:
    response = client.post("/predict", json={"image": text(), "top_k": value})
    assert response.status_code == (200 if value is None else 400)


JSON = {"content_type": "application/json"}
REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("nothing", {}, 400, "image_missing"),
    ("no-field", {"data": {"other": "x"}, "content_type": "multipart/form-data"}, 400, "image_missing"),
    ("text-field", {"data": {"image": "x"}, "content_type": "multipart/form-data"}, 400, "image_missing"),
    ("broken-multipart", {"data": b"x", "content_type": "multipart/form-data"}, 400, "image_missing"),
    ("empty-file", {"data": {"image": (io.BytesIO(), "a.png")}}, 400, "image_empty"),
    ("empty-raw", {"data": b"", "content_type": "image/png"}, 400, "image_empty"),
    ("unreadable", {"data": b"hello", "content_type": "image/png"}, 400, "image_unreadable"),
    ("one-unreadable", {"json": {"images": [text(), base64.b64encode(b"hello").decode()]}}, 400, "image_unreadable"),
    ("truncated", {"data": png(3, (99, 99))[:-30], "content_type": "image/png"}, 400, "image_truncated"),
    ("too-large", {"data": b"x" * 100_001, "content_type": "image/png"}, 413, "image_too_large"),
    ("too-large-file", {"data": {"image": (io.BytesIO(b"x" * 100_001), "a")}}, 413, "image_too_large"),
    ("too-large-json", {"json": {"image": "A" * 140_000}}, 413, "image_too_large"),
    ("pixels", {"data": png(3, (1200, 900)), "content_type": "image/png"}, 413, "image_too_many_pixels"),
    ("form", {"data": "image=x", "content_type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    ("no-type", {"data": png()}, 415, "unsupported_media_type"),
    ("video", {"data": b"x", "content_type": "video/mp4"}, 415, "unsupported_media_type"),
    (
        "gzip",
        {"data": b"x", "content_type": "image/png", "headers": {"Content-Encoding": "gzip"}},
        415,
        "unsupported_media_type",
    ),
    ("no-json", {"data": b"{", **JSON}, 400, "invalid_json"),
    ("not-utf-8", {"data": b'{"image": "\xff"}', **JSON}, 400, "invalid_json"),
    ("deep-json", {"data": b"[" * 50_000, **JSON}, 400, "invalid_json"),
    ("json-list", {"json": [text()]}, 400, "invalid_json"),
    ("json-number", {"json": {"image": 5}}, 400, "invalid_json"),
    ("json-string", {"json": {"images": text()}}, 400, "invalid_json"),
    ("json-nothing", {"json": {}}, 400, "image_missing"),
    ("json-both", {"json": {"image": text(), "images": [text()]}}, 400, "image_missing"),
    ("json-empty-list", {"json": {"images": []}}, 400, "image_missing"),
    ("json-empty", {"json": {"image": ""}}, 400, "image_empty"),
    ("base64", {"json": {"image": "*"}}, 400, "invalid_base64"),
    ("too-many", {"json": {"images": [text()] * 33}}, 400, "too_many_images"),
    ("too-many-files", files(*range(33)), 400, "too_many_images"),
]


@pytest.mark.parametrize(("body", "status", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_bad_requests_get_a_code_and_never_reach_a_worker(
    new_app: Callable[..., Flask],
    new_answering_worker: Callable[..., AnsweringWorker],
    body: dict[str, Any],
    status: int,
    code: str,
) -> None:
    worker, client = new_answering_worker(), new_app(max_pixels=1_000_000).test_client()
    response = client.post("/predict", **body)
    assert response.json is not None
    assert (response.status_code, response.json["success"], response.json["error"]["code"]) == (status, False, code)
    assert response.json["error"]["message"]
    assert client.post("/predict", **files(7)).status_code == 200
    assert worker.seen == 1


def test_a_whole_body_larger_than_allowed_is_refused_with_the_limit(new_app: Callable[..., Flask]) -> None:
    client = new_app(max_body_bytes=1000).test_client()
    response = client.post("/predict", json={"image": "A" * 2000})
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (413, "image_too_large")
    assert "1000 bytes" in response.json["error"]["message"]


def test_a_form_with_too_many_fields_is_refused_for_its_fields_not_for_its_size(client: FlaskClient) -> None:
    response = client.post("/predict", data={f"field{i}": "x" for i in range(1001)}, content_type="multipart/form-data")
    assert response.status_code == 413
    assert response.json is not None
    assert "1000 fields" in response.json["error"]["message"]


def test_admission_comes_before_the_body_is_read(new_app: Callable[..., Flask]) -> None:
    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            pytest.fail("the body was read")

    app = new_app(max_queue_jobs=1)
    waiting = app.extensions[EXTENSION].broker.submit("digits", "2", b"{}", deadline_s=20)
    response = app.test_client().post(
        "/predict",
        content_type="image/png",
        environ_overrides={"wsgi.input": Untouchable(), "CONTENT_LENGTH": "50"},
    )
    waiting.cancel()
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (503, "queue_full")
    assert int(response.headers["Retry-After"]) >= 1


def test_when_several_images_do_not_fit_into_the_queue_none_stays_there(
    new_app: Callable[..., Flask], redis_server: RedisServer
) -> None:
    app = new_app(max_queue_jobs=3)
    response = app.test_client().post("/predict", **files(1, 2, 3, 4))
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (503, "queue_full")
    assert not [key for key in redis_server.client.scan_iter() if b":job:" in key]


def test_an_answer_that_does_not_come_in_time_is_a_504_at_the_deadline_of_the_request(
    new_app: Callable[..., Flask],
) -> None:
    response = new_app().test_client().post("/predict", headers={"X-Deadline-Ms": "100"}, **files(7))
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (504, "deadline_exceeded")


def test_the_longest_deadline_of_the_settings_holds_for_every_model(new_app: Callable[..., Flask]) -> None:
    assert new_app(deadline_s=0.1).test_client().post("/predict", **files(7)).status_code == 504


@pytest.mark.parametrize("value", ["0", "-5", "soon", "nan", ""])
def test_a_wrong_deadline_is_refused(client: FlaskClient, value: str) -> None:
    response = client.post("/predict", headers={"X-Deadline-Ms": value}, **files(7))
    assert response.json is not None
    assert (response.status_code, response.json["error"]["code"]) == (400, "invalid_parameter")


def test_an_infinite_deadline_is_the_models_own(client: FlaskClient) -> None:
    assert client.post("/predict", headers={"X-Deadline-Ms": "inf"}, **files(7)).status_code == 200


FAILED = b'{"success":false,"error":{"code":"model_failed","message":"it broke"}}'


def test_a_workers_error_is_passed_on_with_its_status(
    new_app: Callable[..., Flask], new_answering_worker: Callable[..., AnsweringWorker]
) -> None:
    new_answering_worker(lambda job: FAILED)
    response = new_app().test_client().post("/predict", **files(7))
    assert (response.status_code, response.data) == (500, FAILED)


def test_one_failed_image_of_several_is_the_answer_to_all(
    new_app: Callable[..., Flask], new_answering_worker: Callable[..., AnsweringWorker]
) -> None:
    ok = b'{"success":true,"predictions":[]}'
    second = base64.b64encode(bytes([2] * 16))
    new_answering_worker(lambda job: FAILED if second in job.payload else ok)
    client = new_app().test_client()
    assert client.post("/predict", **files(1, 2, 3)).status_code == 500
    assert client.post("/predict", **files(1, 3)).status_code == 200


def test_a_result_passes_through_unchanged(
    new_app: Callable[..., Flask], new_answering_worker: Callable[..., AnsweringWorker]
) -> None:
    odd = b'{"success":true,"predictions":[{"label":"\xc3\xbc","probability":0.10000}]  }'
    new_answering_worker(lambda job: odd)
    assert new_app().test_client().post("/predict", **files(7)).data == odd


def test_large_images_are_decoded_like_small_ones(client: FlaskClient) -> None:
    response = client.post("/predict", data=png(9, (800, 700)), content_type="image/png")
    assert response.json is not None
    assert labels(response.json["predictions"]) == ["9"] * 3
    assert client.post("/predict", data=b"x" * 50_000, content_type="image/png").status_code == 400
