"""Every failure of a request becomes JSON with a stable code, and one log line."""

from __future__ import annotations

import logging

from flask import Flask, Response, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from service.broker import BrokerUnavailable, Cancelled, DeadlineExceeded, QueueFull
from service.errors import CODE_OF_STATUS, ServiceError
from service.telemetry import log_event

log = logging.getLogger(__name__)


def register_error_handlers(app: Flask) -> None:
    """Install the handlers for our errors, the broker's, HTTP's, and for bugs."""
    app.register_error_handler(ServiceError, _service_error)
    app.register_error_handler(QueueFull, _queue_full)
    app.register_error_handler(BrokerUnavailable, _broker_unavailable)
    app.register_error_handler(DeadlineExceeded, _deadline_exceeded)
    app.register_error_handler(Cancelled, _cancelled)
    app.register_error_handler(ClientDisconnected, _client_gone)
    app.register_error_handler(ParseException, _malformed_body)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _bug)


def log_failure(code: str, status: int, message: str, *, exc_info: BaseException | None = None) -> None:
    """Log the one line of a failed request: as warning from status 500 on, else as info."""
    log_event(
        log,
        logging.WARNING if status >= 500 else logging.INFO,
        "request failed",
        exc_info=exc_info or False,
        code=code,
        status=status,
        method=request.method,
        path=request.path,
        message=message,
    )


def _service_error(error: ServiceError) -> Response:
    log_failure(error.code, error.status, error.message)
    return Response(error.body(), error.status, error.headers, content_type="application/json")


def _queue_full(error: QueueFull) -> Response:
    message = str(error) or "the queue is full, or the deadline cannot be met"
    return _service_error(ServiceError("queue_full", message, retry_after_s=error.retry_after))


def _broker_unavailable(error: BrokerUnavailable) -> Response:
    # The log says why; a client has no use for addresses inside.
    failure = ServiceError("queue_unavailable", "the queue cannot be reached", retry_after_s=1)
    log_failure(failure.code, failure.status, str(error) or failure.message)
    return Response(failure.body(), failure.status, failure.headers, content_type="application/json")


def _deadline_exceeded(error: DeadlineExceeded) -> Response:
    return _service_error(ServiceError("deadline_exceeded", str(error) or "no answer came by the deadline"))


def _cancelled(error: Cancelled) -> Response:
    return _service_error(ServiceError("client_gone", str(error) or "the client hung up"))


def _client_gone(error: ClientDisconnected) -> Response:
    return _service_error(ServiceError("client_gone", "the client hung up before its request was complete"))


def _malformed_body(error: ParseException) -> Response:
    # gunicorn raises it where the application reads a body in chunks that break the rules of HTTP.
    return _service_error(ServiceError("bad_request", f"the chunked body is malformed: {error}"))


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    code = CODE_OF_STATUS.get(status, "bad_request" if status < 500 else "internal_error")
    message = error.description or error.name
    if isinstance(error, RequestEntityTooLarge):
        limit, length = request.max_content_length, request.content_length
        message = f"the request body may have up to {limit} bytes"
        if length and limit is not None and length <= limit:
            most, text_bytes = request.max_form_parts, request.max_form_memory_size
            message = f"a form may have up to {most} fields, and {text_bytes} bytes in those that are no files"
        elif length:
            message += f", it has {length}"
    elif status == 404:
        message = f"there is nothing at {request.path}"
    elif status == 405:
        message = f"{request.path} does not answer {request.method}"
    failure = ServiceError(code, message)
    headers = [(name, value) for name, value in error.get_headers() if name.lower() == "allow"]
    log_failure(code, status, message)
    return Response(failure.body(), status, headers, content_type="application/json")


def _bug(error: Exception) -> Response:
    failure = ServiceError("internal_error", "the service failed; its log says why")
    log_failure(failure.code, failure.status, str(error), exc_info=error)
    return Response(failure.body(), failure.status, content_type="application/json")
