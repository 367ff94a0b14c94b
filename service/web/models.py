"""GET /models: what is served."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from service.repository import ModelRepository, ServedModel
from service.web.context import current_context

blueprint = Blueprint("models", __name__)


@blueprint.get("/models")
def models() -> ResponseReturnValue:
    """List every model with its versions; figures are those of the highest version."""
    repository = current_context().repository
    return jsonify(models=[_summary(repository, name) for name in repository.names])


@blueprint.get("/models/<name>")
def model(name: str) -> ResponseReturnValue:
    """Describe one model, with its labels and each version."""
    repository = current_context().repository
    served = repository.get(name)
    versions = [{"version": each.version, **_description(each)} for each in repository.versions(name)]
    return jsonify(_summary(repository, name) | {"label_names": list(served.labels), "version_details": versions})


def _summary(repository: ModelRepository, name: str) -> dict[str, Any]:
    served = repository.get(name)
    return {
        "name": name,
        "default": name == repository.default_name,
        "versions": [each.version for each in repository.versions(name)],
        "version": served.version,
        **_description(served),
    }


def _description(served: ServedModel) -> dict[str, Any]:
    return {
        "input": {"width": served.width, "height": served.height, "color": served.color},
        "labels": len(served.labels),
        "top_k": served.top_k,
        "deadline_s": served.deadline_s,
    }
