"""GET /healthz and /readyz: whether the process lives, and whether it can answer predictions."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from service.errors import ServiceError
from service.web.context import current_context

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer 200 whenever the process does; Redis being away does not change that."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Answer 200 when Redis and a live worker of the default model (else of every model) are there."""
    context = current_context()
    repository = context.repository
    status = context.broker.status()
    needed = (repository.default_name,) if repository.default_name else repository.names
    models = [(model.name, model.version) for model in map(repository.get, needed)]
    missing = [] if status.reachable else ["redis"]
    missing += [f"worker of {'/'.join(model)}" for model in models if not status.live_workers.get(model)]
    if not missing:
        return jsonify(status="ready", waiting=status.waiting)
    error = ServiceError("not_ready", "missing: " + ", ".join(missing), retry_after_s=1)
    body = {"success": False, "error": {"code": error.code, "message": error.message}, "missing": missing}
    return jsonify(body), error.status, error.headers
