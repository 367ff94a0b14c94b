"""The short way of predictions: past Flask's routing, contexts and sessions, straight to `predict`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from service.web.context import WebContext
from service.web.predict import answer_prediction

_PREDICT = re.compile(r"(?:/models/([A-Za-z0-9][A-Za-z0-9._-]*)(?:/versions/([1-9][0-9]*))?)?/predict")


class PredictionLane:
    """WSGI middleware that answers predictions; everything else is the application's.

    Args:
        application: It answers the same paths in the same way, whatever their spelling.
        context: What the process holds.
    """

    def __init__(self, application: WSGIApplication, context: WebContext) -> None:
        self._application = application
        self._context = context

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["REQUEST_METHOD"] == "POST":
            place = _PREDICT.fullmatch(environ["PATH_INFO"])
            if place is not None:
                return answer_prediction(self._context, environ, place[1], place[2]).send(start_response)
        return self._application(environ, start_response)
