"""Every failure of a request becomes JSON with a stable code, and one log line."""

from __future__ import annotations

import logging
from wsgiref.types import WSGIEnvironment

from flask import Flask, Response, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from service.broker import BrokerUnavailable, Cancelled, DeadlineExceeded, QueueFull
from service.errors import CODE_OF_STATUS, ServiceError
from service.telemetry import log_event
from service.web.answer import Answer

log = logging.getLogger(__name__)


def register_error_handlers(app: Flask) -> None:
    """Have Flask answer every failure as `failed` does."""

    def handle(error: Exception) -> Response:
        return failed(error, request.environ).as_response()

    app.register_error_handler(Exception, handle)


def failed(error: Exception, environ: WSGIEnvironment) -> Answer:
    """Return the answer to a request that failed, and log it: our errors, the broker's, HTTP's, and bugs."""
    if isinstance(error, HTTPException):
        return _http_error(error, environ)
    if isinstance(error, BrokerUnavailable):
        # The log says why; a client has no use for addresses inside.
        failure = ServiceError("queue_unavailable", "the queue cannot be reached", retry_after_s=1)
        log_failure(environ, failure.code, failure.status, str(error) or failure.message)
        return Answer(failure.status, failure.body(), failure.headers)
    told = _told(error)
    if told is None:
        told = ServiceError("internal_error", "the service failed; its log says why")
        log_failure(environ, told.code, told.status, str(error), exc_info=error)
    else:
        log_failure(environ, told.code, told.status, told.message)
        if told.code == "client_gone":  # 499 is no status of HTTP, and who shut down only one side still reads
            told = ServiceError("bad_request", "the client shut its side of the connection down before the answer")
    return Answer(told.status, told.body(), told.headers)


def log_failure(
    environ: WSGIEnvironment, code: str, status: int, message: str, *, exc_info: BaseException | None = None
) -> None:
    """Log the one line of a failed request: as warning from status 500 on, else as info."""
    log_event(
        log,
        logging.WARNING if status >= 500 else logging.INFO,
        "request failed",
        exc_info=exc_info or False,
        code=code,
        status=status,
        method=environ["REQUEST_METHOD"],
        path=_path(environ),
        message=message,
    )


def _told(error: Exception) -> ServiceError | None:
    """What a client is told of an error; None for a bug."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, QueueFull):
        message = str(error) or "the queue is full, or the deadline cannot be met"
        return ServiceError("queue_full", message, retry_after_s=error.retry_after)
    if isinstance(error, DeadlineExceeded):
        return ServiceError("deadline_exceeded", str(error) or "no answer came by the deadline")
    if isinstance(error, Cancelled):
        return ServiceError("client_gone", str(error) or "the client hung up")
    if isinstance(error, ParseException):
        # gunicorn raises it where the application reads a body in chunks that break the rules of HTTP.
        return ServiceError("bad_request", f"the chunked body is malformed: {error}")
    return None


def _http_error(error: HTTPException, environ: WSGIEnvironment) -> Answer:
    status = error.code or 500
    code = CODE_OF_STATUS.get(status, "bad_request" if status < 500 else "internal_error")
    message = error.description or error.name
    if status == 404:
        message = f"there is nothing at {_path(environ)}"
    elif status == 405:
        message = f"{_path(environ)} does not answer {environ['REQUEST_METHOD']}"
    headers = {name: value for name, value in error.get_headers() if name.lower() == "allow"}
    log_failure(environ, code, status, message)
    return Answer(status, ServiceError(code, message).body(), headers)


def _path(environ: WSGIEnvironment) -> str:
    # WSGI hands bytes over as if they were Latin-1.
    path: str = environ.get("PATH_INFO", "")
    return path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")
