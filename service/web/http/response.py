"""The answer to one request: WSGI's `start_response` and `write`, framed as HTTP/1.1."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any

SERVER = "beagle"
# Bodies, or parts of one, up to this size leave together with what frames them.
JOINED_BYTES = 64 * 1024

_STATUS = re.compile(r"[1-9]\d\d [^\r\n]*")
# Set here, whatever the application says.
_OURS = frozenset({"connection", "date", "keep-alive", "server", "te", "trailer", "transfer-encoding", "upgrade"})
_second = 0
_standing_lines = ""


class ClientGoneError(ConnectionError):
    """The answer cannot be delivered: the client hung up, or reads nothing."""


class Response:
    """The answer to one request.

    Args:
        client: Where it goes; its timeout is the longest that the client may read nothing.
        has_body: Whether the request's method allows for a body: not for HEAD.
        is_http_1_0: Whether the client knows no chunks.
        must_close: Asked once, when the head leaves: whether the connection ends with this answer.

    Attributes:
        keep_alive: Whether the connection can be used again; known once the answer is finished.
        is_begun: Whether the head has left.
    """

    __slots__ = (
        "_chunked",
        "_client",
        "_fields",
        "_has_body",
        "_is_http_1_0",
        "_length",
        "_missing",
        "_must_close",
        "_status",
        "is_begun",
        "keep_alive",
    )

    def __init__(
        self, client: socket.socket, has_body: bool, is_http_1_0: bool, must_close: Callable[[], bool]
    ) -> None:
        self.keep_alive = True
        self.is_begun = False
        self._client = client
        self._has_body = has_body
        self._is_http_1_0 = is_http_1_0
        self._must_close = must_close
        self._status = ""
        self._fields = ""
        self._length: int | None = None
        self._missing = 0
        self._chunked = False

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """Set status and fields, as PEP 3333 has it; returns `write`.

        Raises:
            AssertionError: it was called before, and no `exc_info` says why again.
            ValueError: a status or a field that HTTP cannot carry.
        """
        if exc_info:
            try:
                if self.is_begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._status:
            raise AssertionError("start_response was called twice")
        if not _STATUS.fullmatch(status):
            raise ValueError(f"status: expected three digits, a space and a reason, got {status!r}")
        lines = []
        self._length = None
        for name, value in headers:
            lower = name.lower()
            if lower == "content-length":
                self._length = int(value)
            elif lower in _OURS:
                if lower == "connection" and value.lower() == "close":
                    self.keep_alive = False
            else:
                lines.append(f"{name}: {value}\r\n")
        fields = "".join(lines)
        if fields.count("\n") != len(lines) or fields.count("\r") != len(lines):
            raise ValueError("a header field of the answer holds a line break")
        self._status, self._fields = status, fields
        return self.write

    def write(self, data: bytes) -> None:
        """Send a part of the body; the first one leaves together with the head.

        Raises:
            ClientGoneError: the client hung up, or read nothing for as long as the socket's timeout.
            AssertionError: `start_response` was not called.
        """
        if data:
            self._write(data, None)

    def send(self, result: Iterable[bytes]) -> None:
        """Send what the application returned, to its end; raises what `write` does."""
        only = isinstance(result, list | tuple) and len(result) == 1
        for data in result:
            if data:
                self._write(data, len(data) if only else None)
        if not self.is_begun:
            self._send(self._begin(0))
        if self._chunked:
            self._send(b"0\r\n\r\n")
        elif self._missing and self._has_body:
            self.keep_alive = False  # the client sees by it that something lacks
            raise ValueError(f"the answer is {self._missing} bytes shorter than its Content-Length")

    def _write(self, data: bytes, whole: int | None) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"the body of an answer: expected bytes, got {type(data).__name__}")
        head = b"" if self.is_begun else self._begin(whole)
        if not self._has_body:
            data = b""
        elif self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif self._length is not None:
            data = data[: self._missing]
            self._missing -= len(data)
        if len(data) <= JOINED_BYTES:
            self._send(head + data)
        else:
            self._send(head)
            self._send(data)

    def _begin(self, whole: int | None) -> bytes:
        """Return the head; `whole` is the length of the body where it is known by now."""
        if not self._status:
            raise AssertionError("the application sent a body before it called start_response")
        status, length = self._status, self._length
        if status[0] == "1" or status.startswith(("204", "304")):
            self._has_body = False
            if not status.startswith("304"):
                length = None
        elif length is None and self._has_body:
            if whole is not None:
                self._length = length = whole
            elif self._is_http_1_0:
                self.keep_alive = False  # the body ends where the connection does
            else:
                self._chunked = True
        self._missing = length or 0
        if self._must_close():
            self.keep_alive = False
        lines = [f"HTTP/1.1 {status}\r\n", _standing(), self._fields]
        if length is not None:
            lines.append(f"Content-Length: {length}\r\n")
        elif self._chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append("Connection: close\r\n")
        elif self._is_http_1_0:
            lines.append("Connection: keep-alive\r\n")
        lines.append("\r\n")
        head = "".join(lines).encode("latin-1")
        self.is_begun = True
        return head

    def _send(self, data: bytes) -> None:
        if not data:
            return
        try:
            sent = self._client.send(data)
            while sent < len(data):  # not sendall, whose timeout is for all of it
                sent += self._client.send(memoryview(data)[sent:])
        except OSError as error:
            self.keep_alive = False
            raise ClientGoneError(str(error)) from error


def _standing() -> str:
    """Return the fields that all answers of this second have."""
    global _second, _standing_lines
    now = int(time.time())
    if now != _second:
        _standing_lines = f"Server: {SERVER}\r\nDate: {formatdate(now, usegmt=True)}\r\n"
        _second = now
    return _standing_lines
