"""POST /predict: admit, read, decode, submit, wait, answer."""

from __future__ import annotations

import json
import logging
import time

from flask import Blueprint, Response, request

from service.broker import Waiting
from service.errors import STATUS_OF_CODE, ServiceError
from service.repository import ServedModel
from service.web.context import WebContext, current_context
from service.web.failures import log_failure
from service.web.pauses import bounded_pauses
from service.web.uploads import chosen_deadline_s, chosen_top_k, read_upload

blueprint = Blueprint("predict", __name__)

# How results begin that need no parsing to be passed on.
_SUCCESS = (b'{"success":true', b'{"success": true')


@blueprint.post("/predict")
@blueprint.post("/models/<name>/predict")
@blueprint.post("/models/<name>/versions/<version>/predict")
def predict(name: str | None = None, version: str | None = None) -> Response:
    """Classify the images of a request; models are named by path or by `?model=` and `?version=`."""
    started = time.monotonic()
    context = current_context()
    model = context.repository.get(name or request.args.get("model"), version or request.args.get("version"))
    deadline_s = chosen_deadline_s(request, model, context.settings.deadline_s)
    context.broker.admit(model.name, model.version, deadline_s)

    with bounded_pauses(request.environ.get("gunicorn.socket"), context.settings.upload_pause_s):
        upload = read_upload(request, context.limits)
    top_k = chosen_top_k(request, upload, model)
    payloads = [context.decoder.payload(data, model, top_k) for data in upload.images]
    results = _compute(context, model, payloads, started + deadline_s)

    failed = next(filter(_is_failure, results), None)
    if failed is not None:
        return _answer(failed)
    if not upload.listed:
        return _answer(results[0])
    lists = [json.loads(result)["predictions"] for result in results]
    return _answer(json.dumps({"success": True, "predictions": lists}, ensure_ascii=False).encode())


def _compute(context: WebContext, model: ServedModel, payloads: list[bytes], deadline: float) -> list[bytes]:
    """Submit one job per payload and wait for all; the first failure cancels those that still wait."""
    waiting: list[Waiting] = []
    results: list[bytes] = []
    gone = False

    def on_gone() -> None:
        nonlocal gone
        gone = True
        _cancel(waiting)

    try:
        with context.watcher.watching(request.environ.get("gunicorn.socket"), on_gone):
            for payload in payloads:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0 or gone:
                    break
                job = context.broker.submit(model.name, model.version, payload, deadline_s=remaining_s)
                waiting.append(job)
            if gone:
                raise ServiceError("client_gone", "the client hung up")
            if len(waiting) < len(payloads):
                raise ServiceError("deadline_exceeded", "the deadline passed before the images were submitted")
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


def _answer(result: bytes) -> Response:
    status = 200
    if _is_failure(result):
        error = json.loads(result)["error"]
        status = STATUS_OF_CODE.get(error["code"], 500)
        log_failure(error["code"], status, error["message"])
    return Response(result, status, content_type="application/json")
