"""A prediction: admit, read, decode, submit, wait, answer."""

from __future__ import annotations

import json
import logging
import time
from wsgiref.types import WSGIEnvironment

from flask import Blueprint, Response
from flask import request as flask_request

from service.broker import Waiting
from service.errors import STATUS_OF_CODE, ServiceError
from service.repository import ServedModel
from service.web.answer import Answer
from service.web.context import WebContext, current_context
from service.web.failures import failed, log_failure
from service.web.pauses import bounded_pauses
from service.web.request import PredictionRequest
from service.web.uploads import Upload, chosen_deadline_s, chosen_priority, chosen_top_k, read_upload

blueprint = Blueprint("predict", __name__)

# How results begin that need no parsing to be passed on.
_SUCCESS = (b'{"success":true', b'{"success": true')


@blueprint.post("/predict")
@blueprint.post("/models/<name>/predict")
@blueprint.post("/models/<name>/versions/<version>/predict")
def predict(name: str | None = None, version: str | None = None) -> Response:
    """Answer what the lane leaves to Flask: names that no model can have."""
    return answer_prediction(current_context(), flask_request.environ, name, version).as_response()


def answer_prediction(
    context: WebContext, environ: WSGIEnvironment, name: str | None = None, version: str | None = None
) -> Answer:
    """Classify the images of a request; models are named by path or by `?model=` and `?version=`."""
    try:
        return _predict(context, environ, name, version)
    except Exception as error:
        return failed(error, environ)


def _predict(context: WebContext, environ: WSGIEnvironment, name: str | None, version: str | None) -> Answer:
    started = time.monotonic()
    settings = context.settings
    request = PredictionRequest(environ, settings.max_body_bytes)
    arguments = request.arguments
    model = context.repository.get(name or arguments.get("model"), version or arguments.get("version"))
    priority = chosen_priority(request)
    deadline_s = chosen_deadline_s(request, model, settings.deadline_s)
    context.broker.admit(model.name, model.version, deadline_s)

    request.deadline = started + deadline_s
    with bounded_pauses(environ.get("gunicorn.socket"), min(settings.upload_pause_s, deadline_s)):
        upload = read_upload(request, context.limits)
    top_k = chosen_top_k(request, upload, model)
    results = _compute(context, request, model, upload, top_k, priority)

    failure = next(filter(_is_failure, results), None)
    if failure is not None:
        error = json.loads(failure)["error"]
        status = STATUS_OF_CODE.get(error["code"], 500)
        log_failure(environ, error["code"], status, error["message"])
        return Answer(status, failure)
    if not upload.listed:
        return Answer(200, results[0])
    lists = [json.loads(result)["predictions"] for result in results]
    return Answer(200, json.dumps({"success": True, "predictions": lists}, ensure_ascii=False).encode())


def _compute(
    context: WebContext, request: PredictionRequest, model: ServedModel, upload: Upload, top_k: int, priority: str
) -> list[bytes]:
    """Submit one job per image and wait for all; the first failure cancels those that still wait."""
    waiting: list[Waiting] = []
    results: list[bytes] = []
    gone = False

    def on_gone() -> None:
        nonlocal gone
        gone = True
        _cancel(waiting)

    def check_wanted() -> float:
        if gone:
            raise ServiceError("client_gone", "the client hung up")
        return request.check_deadline()

    try:
        with context.watcher.watching(request.environ.get("gunicorn.socket"), on_gone):
            # All are decoded before the first is submitted: a request with one bad image costs no worker anything.
            payloads = [context.decoder.payload(image, model, top_k, check_wanted) for image in upload.images]
            for payload in payloads:
                left_s = check_wanted()
                job = context.broker.submit(model.name, model.version, payload, deadline_s=left_s, priority=priority)
                waiting.append(job)
            check_wanted()
            if len(waiting) > 1:  # one that does not fit into the queue takes the others back at once
                for job in waiting:
                    job.accepted()
            for job in waiting:
                results.append(job.result())
                if _is_failure(results[-1]):
                    _cancel(waiting[len(results) :])
                    break
    except Exception:
        _cancel(waiting[len(results) :])
        raise
    return results


def _cancel(jobs: list[Waiting]) -> None:
    for job in jobs:
        try:
            job.cancel()
        except Exception as error:  # the job expires by itself; the first failure is what to tell
            logging.getLogger(__name__).debug("cancelling failed: %s", error)


def _is_failure(result: bytes) -> bool:
    return not result.startswith(_SUCCESS) and not json.loads(result).get("success")
