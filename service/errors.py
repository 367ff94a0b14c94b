"""The errors that clients see: every code, its HTTP status, and the JSON that carries it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import MappingProxyType

STATUS_OF_CODE: Mapping[str, int] = MappingProxyType(
    {
        "image_missing": 400,
        "image_empty": 400,
        "image_unreadable": 400,
        "image_truncated": 400,
        "invalid_json": 400,
        "invalid_base64": 400,
        "invalid_parameter": 400,
        "too_many_images": 400,
        "bad_request": 400,
        "model_not_found": 404,
        "not_found": 404,
        "method_not_allowed": 405,
        "upload_stalled": 408,
        "image_too_large": 413,
        "image_too_many_pixels": 413,
        "unsupported_media_type": 415,
        "client_gone": 499,
        "model_failed": 500,
        "internal_error": 500,
        "queue_full": 503,
        "queue_unavailable": 503,
        "not_ready": 503,
        "deadline_exceeded": 504,
    }
)
"""HTTP status by error code. 499 never reaches anyone: it stands in logs for a client that hung up."""

CODE_OF_STATUS: Mapping[int, str] = MappingProxyType(
    {
        400: "bad_request",
        404: "not_found",
        405: "method_not_allowed",
        408: "upload_stalled",
        413: "image_too_large",
        415: "unsupported_media_type",
        500: "internal_error",
    }
)
"""The code for errors that the HTTP layer raises itself; any other status below 500 is a bad_request."""


def error_body(code: str, message: str) -> bytes:
    """Return the JSON body `{"success": false, "error": {"code", "message"}}` as UTF-8."""
    return json.dumps({"success": False, "error": {"code": code, "message": message}}, ensure_ascii=False).encode()


class ServiceError(Exception):
    """A failure with a stable code, told to the client as JSON.

    Args:
        code: A key of `STATUS_OF_CODE`; anything else is a programming error (KeyError).
        message: One sentence: what was wrong, what was expected, what came.
        retry_after_s: Seconds after which trying again makes sense, sent as `Retry-After`; None omits it.
    """

    def __init__(self, code: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = STATUS_OF_CODE[code]
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that go with the answer; `Retry-After` is in whole seconds, at least 1."""
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}

    def body(self) -> bytes:
        """Return the JSON body of the answer."""
        return error_body(self.code, self.message)
