"""A server on loopback for one file, that may cut transfers off, ignore ranges, or change the file."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """What the server has and how it behaves; all may be changed while it runs.

    Attributes:
        content: the file.
        cuts: after how many bytes each of the next transfers is cut off.
        ranges: whether it understands `Range`.
        etag: its ETag, or an empty string for none.
        status: of every answer, in place of the file.
        before_end: called when half of a transfer is sent.
        requests: the `Range` header of each request so far, an empty string where there was none.
        url: the file's address.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cuts: list[int] = []
        self.ranges = True
        self.etag = '"1"'
        self.status = 200
        self.before_end: Callable[[], object] | None = None
        self.requests: list[str] = []
        self.url = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.requests.append(wanted)
        if self.status != 200:
            request.send_error(self.status)
            return
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        fresh = request.headers.get("If-Range", self.etag) == self.etag
        start = int(found[1]) if found and self.ranges and fresh else 0
        size = len(self.content)
        if start and start >= size:
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{size}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if self.etag:
            request.send_header("ETag", self.etag)
        request.end_headers()
        length = self.cuts.pop(0) if self.cuts else None
        half = len(body) // 2 if length is None else min(length, len(body))
        request.wfile.write(body[:half])
        if self.before_end is not None:
            self.before_end()
        if length is None:
            request.wfile.write(body[half:])


@contextmanager
def serving(content: bytes) -> Iterator[FileServer]:
    """Runs a server for a file, and stops it."""
    file = FileServer(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    file.url = f"http://127.0.0.1:{server.server_address[1]}/files/weights.bin"
    try:
        yield file
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
