"""A prediction request as WSGI hands it over: its head taken apart on demand, its body read within bounds."""

from __future__ import annotations

import math
import time
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import WSGIEnvironment

from service.errors import ServiceError

# Bytes asked for at once from a server that would wait until all of them are there.
PIECE_BYTES = 64 * 1024


class PredictionRequest:
    """One request.

    Args:
        environ: WSGI's.
        max_body_bytes: Most bytes that `read` and `read_all` give.

    Attributes:
        arguments: The query's; of one that is given twice the first.
        content_type: The header as it came; empty without one.
        mimetype: The same in lower case, without its parameters.
        length: Bytes of the body; None where it comes in chunks, and only its end will tell.
        deadline: On the monotonic clock, seconds; no more of the body is read after it.
    """

    def __init__(self, environ: WSGIEnvironment, max_body_bytes: int) -> None:
        self.environ = environ
        self.max_body_bytes = max_body_bytes
        self.arguments = _arguments(environ.get("QUERY_STRING", ""))
        self.content_type: str = environ.get("CONTENT_TYPE", "")
        self.mimetype = self.content_type.partition(";")[0].strip().lower()
        self.length = _body_length(environ)
        self.deadline = math.inf
        self._input: Any = environ["wsgi.input"]
        self._received = 0

    def header(self, name: str) -> str | None:
        """Return a header by its name in WSGI, such as `HTTP_X_PRIORITY`; None where it was not sent."""
        return self.environ.get(name)

    def read_all(self, most: int | None = None) -> bytes:
        """Return the whole body.

        Args:
            most: Of a body in chunks only this many bytes are read and one more, which tells that it has more;
                None: `max_body_bytes`, and one that has more is refused.

        Raises:
            ServiceError: image_too_large, client_gone, deadline_exceeded.
            TimeoutError: a pause was longer than the connection allows.
        """
        if most is None and self.length is not None and self.length > self.max_body_bytes:
            raise self._too_large()
        wanted = self.length
        if wanted is None:
            wanted = (self.max_body_bytes if most is None else most) + 1
        pieces = []
        while wanted > 0 and (piece := self._next_piece(wanted)):
            pieces.append(piece)
            wanted -= len(piece)
        if most is None and self._received > self.max_body_bytes:
            raise self._too_large()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read(self, size: int = -1) -> bytes:
        """Return the next piece of the body, up to `size` bytes, none at its end; for parsers that take a stream.

        Raises:
            ServiceError: image_too_large, client_gone, deadline_exceeded.
            TimeoutError: a pause was longer than the connection allows.
        """
        if self.length is not None and self.length > self.max_body_bytes:
            raise self._too_large()
        piece = self._next_piece(size if size > 0 else PIECE_BYTES)
        if self._received > self.max_body_bytes:
            raise self._too_large()
        return piece

    def check_deadline(self) -> float:
        """Return the seconds that are left, above 0; raise ServiceError deadline_exceeded once there are none."""
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise ServiceError("deadline_exceeded", "the deadline passed before the images were submitted")
        return left_s

    def _next_piece(self, size: int) -> bytes:
        if self._received:  # the first piece is here, or on its way
            self.check_deadline()
        try:
            # The one waits only until something is there, `read` for all that it is asked for.
            read1 = getattr(self._input, "read1", None)
            piece: bytes = read1(size) if read1 else self._input.read(min(size, PIECE_BYTES))
        except TimeoutError:
            self.check_deadline()
            raise
        except OSError as error:
            raise _client_gone() from error
        self._received += len(piece)
        if not piece and self.length is not None and self._received < self.length:
            raise _client_gone()
        return piece

    def _too_large(self) -> ServiceError:
        message = f"the request body may have up to {self.max_body_bytes} bytes"
        return ServiceError("image_too_large", message + (f", it has {self.length}" if self.length else ""))


def _client_gone() -> ServiceError:
    return ServiceError("client_gone", "the client hung up before its request was complete")


def _arguments(query: str) -> dict[str, str]:
    if not query:
        return {}
    # WSGI hands bytes over as if they were Latin-1.
    pairs = parse_qsl(query.encode("latin-1").decode("utf-8", "replace"), keep_blank_values=True)
    return dict(reversed(pairs))


def _body_length(environ: WSGIEnvironment) -> int | None:
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return None if environ.get("wsgi.input_terminated") else 0
    text: str = environ.get("CONTENT_LENGTH") or "0"
    if not (text.isascii() and text.isdigit()):
        raise ServiceError("bad_request", f"Content-Length: expected a whole number, got {text!r}")
    return int(text)
