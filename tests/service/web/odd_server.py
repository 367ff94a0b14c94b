"""A running `odd_application`, and the raw bytes that go to and fro."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.service.processes import Running, eventually, python, running

HOST = b"Host: x\r\n"


class OddServer:
    """A running `odd_application`."""

    def __init__(self, process: Running, port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def exchange(self, *parts: bytes) -> bytes:
        """Send the parts one by one and return everything up to the server's hanging up."""
        with self.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in parts:
                connection.sendall(part)
            return received(connection)

    def is_up(self) -> bool:
        with contextlib.suppress(OSError), self.connect() as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(4) == b"HTTP"
        return False

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Our own lines of its log."""
        lines = [json.loads(line) for line in self.process.err.splitlines()]
        return [line for line in lines if line["logger"].startswith("service.")]


@contextlib.contextmanager
def serving(folder: Path, **settings: object) -> Iterator[OddServer]:
    """A server with settings, its log in `folder`."""
    given = [f"{name}={value}" for name, value in settings.items()]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = python("-m", "tests.service.web.odd_application", str(listener.fileno()), *given)
        with running(command, folder, pass_fds=[listener.fileno()]) as process:
            server = OddServer(process, listener.getsockname()[1])
            listener.close()
            eventually(server.is_up, "it answers")
            yield server


def received(connection: socket.socket) -> bytes:
    answer = b""
    while part := connection.recv(1_000_000):
        answer += part
    return answer


def answers(data: bytes, *methods: str) -> list[tuple[int, dict[str, str], bytes]]:
    """Take the answers to requests of these methods apart: status, fields, body."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        reader = ours.makefile("rb")
        found = []
        for method in methods:
            answer = http.client.HTTPResponse(ours, method=method)
            answer.fp.close()
            answer.fp = reader
            answer._close_conn = lambda: None  # type: ignore[attr-defined]
            answer.begin()
            found.append((answer.status, dict(answer.headers), answer.read()))
        assert not reader.read()
        reader.close()
    return found


def get(path: bytes, *fields: bytes, version: bytes = b"1.1", method: bytes = b"GET") -> bytes:
    lines = [b"%b %b HTTP/%b" % (method, path, version), b"Host: x", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post(path: bytes, body: bytes, *fields: bytes) -> bytes:
    return get(path, b"Content-Length: %d" % len(body), *fields, method=b"POST") + body


CLOSE = b"Connection: close"
CHUNKED = b"Transfer-Encoding: chunked"
