"""Bodies of refused requests: read away after the answer, so that the client gets to see the answer."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from flask import Response, request

DISCARD_S = 5.0
_CHUNK_BYTES = 64 * 1024


def discard_unread_body(response: Response) -> Response:
    """Have the rest of a refused request's body read once the response is sent; an `after_request` function.

    Closing a connection with unread data resets it, and the reset may overtake the answer. What takes longer
    than DISCARD_S is cut off all the same.
    """
    environ = request.environ
    connection = environ.get("gunicorn.socket")
    has_body = request.content_length or "HTTP_TRANSFER_ENCODING" in environ
    if response.status_code >= 400 and connection is not None and has_body:
        response.call_on_close(lambda: _discard(environ["wsgi.input"], connection))
    return response


def _discard(body: Any, connection: socket.socket) -> None:
    """Read `body` to its end, or shut the connection down where that takes too much."""
    give_up = time.monotonic() + DISCARD_S
    timeout = connection.gettimeout()
    try:
        while (remaining_s := give_up - time.monotonic()) > 0:
            connection.settimeout(remaining_s)
            if not body.read(_CHUNK_BYTES):
                connection.settimeout(timeout)
                return
    except Exception:  # the client hung up or stalled: no reason to keep the connection either
        pass
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
