"""A small HTTP server that reads the numbers in images, and answers as a test wants: late, wrongly, half, never."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from clients.load import numbered

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Deed:
    """What the server does with one request.

    Attributes:
        after_s: Seconds before it does.
        status: HTTP status of the answer.
        label: Its label; None: the right one.
        code: Code of the error where the status is not 200.
        headers: Further headers, each with its line end.
        way: "answer", "half" (of the answer, then close), "close", "reset", "garbage", "twice", "unframed" (the
            answer ends with the connection), "continue" (100 first), "silence".
        before_body: Whether it does not read the body first.
    """

    after_s: float = 0.0
    status: int = 200
    label: str | None = None
    code: str = "queue_full"
    headers: str = ""
    way: str = "answer"
    before_body: bool = False


Behaviour = Callable[[int], Deed]
"""From the number of the request, in order of arrival, what to do."""


def well(number: int) -> Deed:
    """Answer rightly."""
    return Deed()


class UnrulyServer:
    """Attributes:
    connections: How many were accepted.
    heads: The heads of the requests that came.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.connections = 0
        self.heads: list[bytes] = []
        self._behaviour = behaviour

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; say whether the connection is kept."""
        head = await reader.readuntil(b"\r\n\r\n")
        deed = self._behaviour(len(self.heads))
        self.heads.append(head)
        length = _LENGTH.search(head)
        body = b"" if deed.before_body or length is None else await reader.readexactly(int(length[1]))
        if deed.after_s:
            await asyncio.sleep(deed.after_s)
        answer = _answer(deed, deed.label if deed.label is not None else _right_label(body))
        if deed.way == "silence":
            await asyncio.sleep(3600)
        elif deed.way == "reset":
            # Without lingering, closing sends a reset.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif deed.way != "close":
            writer.write(
                {
                    "half": answer[: len(answer) // 2],
                    "garbage": b"what?\r\n\r\n",
                    "twice": answer * 2,
                    "unframed": re.sub(rb"Content-Length: \d+\r\n", b"", answer),
                    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + answer,
                }.get(deed.way, answer)
            )
            await writer.drain()
        return deed.way in ("answer", "twice", "continue") and not deed.before_body and b"close" not in head


def _answer(deed: Deed, label: str) -> bytes:
    if deed.status == 200:
        said: dict[str, object] = {"success": True, "predictions": [{"label": label, "probability": 0.9}]}
    else:
        said = {"success": False, "error": {"code": deed.code, "message": "as the test wants"}}
    body = json.dumps(said).encode()
    return (
        f"HTTP/1.1 {deed.status} Whatever\r\nContent-Type: application/json\r\n{deed.headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _right_label(body: bytes) -> str:
    begin = body.find(b"\x89PNG")
    if begin < 0:
        return ""
    number = numbered.decode(Image.open(io.BytesIO(body[begin:])).tobytes())
    return "" if number is None else numbered.label_of(number)


@contextlib.contextmanager
def serving(behaviour: Behaviour = well, path: Path | None = None) -> Iterator[tuple[str, UnrulyServer]]:
    """Run a server in a thread; yields its URL and itself. It listens on a Unix socket where `path` is given."""
    server = UnrulyServer(behaviour)
    address: list[str] = []
    is_listening, is_over = threading.Event(), threading.Event()

    async def serve() -> None:
        if path is not None:
            listener = await asyncio.start_unix_server(server.serve, path)
            address.append(f"unix:{path}")
        else:
            listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=1024)
            address.append(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        is_listening.set()
        async with listener:
            await asyncio.get_running_loop().run_in_executor(None, is_over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert is_listening.wait(10)
        yield address[0], server
    finally:
        is_over.set()
        thread.join(10)
        assert not thread.is_alive()
