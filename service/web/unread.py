"""Bodies that nobody read, under gunicorn's own workers: read away after the answer, so that the client sees it."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.types import WSGIApplication

from service.web.http.connection import PATIENCE

_PIECE_BYTES = 64 * 1024


class UnreadBodies:
    """WSGI middleware for gunicorn's own workers; ours (`service.web.http`) sees to it itself.

    What takes longer than PATIENCE.discard_s to read away is cut off all the same.

    Args:
        application: The application whose requests' bodies are read to their end.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        result = self._application(environ, start_response)
        has_body = environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ
        return _Answer(result, environ["wsgi.input"], environ["gunicorn.socket"]) if has_body else result


class _Answer:
    """An application's result; the server closes it once it is sent."""

    def __init__(self, result: Iterable[bytes], body: Any, connection: socket.socket) -> None:
        self._result = result
        self._body = body
        self._connection = connection

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._result)

    def close(self) -> None:
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                close()
        finally:
            self._discard()

    def _discard(self) -> None:
        """Read the body to its end, or shut the connection down where that takes too much."""
        give_up = time.monotonic() + PATIENCE.discard_s
        connection = self._connection
        timeout = connection.gettimeout()
        try:
            while (remaining_s := give_up - time.monotonic()) > 0:
                connection.settimeout(remaining_s)
                if not self._body.read(_PIECE_BYTES):
                    connection.settimeout(timeout)
                    return
        except Exception:  # the client hung up or stalled: no reason to keep the connection either
            pass
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
