"""The body of a request as `wsgi.input`: read only when the application reads, in large pieces."""

from __future__ import annotations

import math
import socket
import sys
import time
from collections.abc import Iterator

from service.errors import ServiceError

# Bytes that one system call may bring.
PIECE_BYTES = 256 * 1024
# Bytes of the line that opens a chunk, and of the trailer fields after the last one; they are not used.
CHUNK_LINE_BYTES = 256
TRAILER_BYTES = 8 * 1024

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEX = frozenset(b"0123456789abcdefABCDEF")
_MOST_DIGITS = 15
_CR = ord("\r")


class RequestBody:
    """A body that is here already; the others fetch the rest of theirs.

    Args:
        held: What came together with the head.
    """

    def __init__(self, held: bytes = b"") -> None:
        self._held = held
        self._position = 0

    is_complete = True
    """Whether all of it has arrived: then the next request follows."""
    awaits_continue = False
    """Whether the client still waits to be asked for it."""
    is_broken = False
    """Whether the rest of it can no longer be had: then nothing can follow."""
    following = b""
    """What came after it, known once it is complete."""

    def _fetch(self) -> bytes:
        """Return the next piece from the connection; empty at the end."""
        return b""

    def read(self, size: int | None = -1) -> bytes:
        """Return the next `size` bytes, fewer only at the end; all the rest for None or below 0.

        Raises:
            ConnectionResetError: the client hung up before the end.
            TimeoutError: nothing came for as long as the socket's timeout.
            ServiceError: bad_request, where chunks are malformed.
        """
        held, start = self._held, self._position
        wanted = sys.maxsize if size is None or size < 0 else size
        here = len(held) - start
        if wanted <= here:
            self._position = start + wanted
            return held[start : start + wanted]
        pieces = [held[start:]] if here else []
        self._held, self._position = b"", 0
        missing = wanted - here
        while missing > 0 and (piece := self._fetch()):
            missing -= len(piece)
            pieces.append(piece)
        if missing < 0:
            self._held, self._position = piece, len(piece) + missing
            pieces[-1] = piece[:missing]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size: int = -1) -> bytes:
        """Return up to `size` bytes of what is here, else of the next piece that comes; raises what `read` does."""
        if self._position == len(self._held):
            self._held, self._position = self._fetch(), 0
        start = self._position
        self._position = len(self._held) if size < 0 else min(len(self._held), start + size)
        return self._held[start : self._position]

    def readline(self, size: int | None = -1) -> bytes:
        """Return up to and including the next newline, at most `size` bytes; raises what `read` does."""
        missing = sys.maxsize if size is None or size < 0 else size
        pieces: list[bytes] = []
        while missing > 0:
            if self._position == len(self._held):
                self._held, self._position = self._fetch(), 0
                if not self._held:
                    break
            start = self._position
            most = min(len(self._held), start + missing)
            end = self._held.find(b"\n", start, most) + 1
            self._position = end or most
            pieces.append(self._held[start : self._position])
            if end:
                break
            missing -= len(pieces[-1])
        return b"".join(pieces)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """Return the lines that are left, no more once they have `hint` bytes; raises what `read` does."""
        lines: list[bytes] = []
        size = 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines that are left."""
        return iter(self.readline, b"")

    def skip(self) -> None:
        """Drop what has come, and the next piece from the connection; raises what `read` does."""
        self._held, self._position = b"", 0
        self._fetch()


class ArrivingBody(RequestBody):
    """A body of which the connection brings more.

    Args:
        held: What came together with the head.
        client: Where the rest comes from.
        awaits_continue: Ask the client for it before it is read.
    """

    is_complete = False

    def __init__(self, held: bytes, client: socket.socket, awaits_continue: bool) -> None:
        super().__init__(held)
        self._client = client
        self._has_received = False
        self.awaits_continue = awaits_continue

    def _receive(self, most: int) -> bytes:
        if self.awaits_continue:
            self.awaits_continue = False
            self._client.sendall(_CONTINUE)
        if self._has_received:
            time.sleep(0)  # a client that sends faster than it is read gives way to the others
        self._has_received = True
        self.is_broken = True  # unless something comes
        received = self._client.recv(most)
        if not received:
            raise ConnectionResetError("the client hung up before the body of its request was complete")
        self.is_broken = False
        return received


class SizedBody(ArrivingBody):
    """A body of known length; `missing` bytes of it have not come yet."""

    def __init__(self, held: bytes, missing: int, client: socket.socket, awaits_continue: bool) -> None:
        super().__init__(held, client, awaits_continue)
        self._missing = missing

    def _fetch(self) -> bytes:
        missing = self._missing
        if not missing:
            return b""
        received = self._receive(missing if missing < PIECE_BYTES else PIECE_BYTES)
        self._missing = missing - len(received)
        self.is_complete = not self._missing
        return received


class ChunkedBody(ArrivingBody):
    """A body in chunks; `raw` is what came of them with the head."""

    def __init__(self, raw: bytes, client: socket.socket, awaits_continue: bool) -> None:
        super().__init__(b"", client, awaits_continue)
        self._raw = raw
        # Bytes that this chunk lacks; 0: its closing line break; None: the line of the next one.
        self._missing: int | None = None
        self._trailer_bytes = -1  # of the fields after the last chunk; below 0 before it has come

    def _fetch(self) -> bytes:
        # What frames the chunks is no progress: sent byte by byte it would hold out for hours.
        give_up = time.monotonic() + (self._client.gettimeout() or math.inf)
        while not self.is_complete:
            self.is_broken = True
            pieces = self._take_apart() if self._raw else []
            if not pieces and not self.is_complete and time.monotonic() > give_up:
                raise TimeoutError("nothing of the body came but what frames it")
            self.is_broken = False
            if pieces:
                return b"".join(pieces)
            if not self.is_complete:
                self._raw += self._receive(PIECE_BYTES)
        return b""

    def _take_apart(self) -> list[bytes]:
        """Return what the received chunks hold; keeps a line that is not complete."""
        raw, position = self._raw, 0
        pieces = []
        while position < len(raw):
            if self._missing:
                piece = raw[position : position + self._missing]
                position += len(piece)
                self._missing -= len(piece)
                pieces.append(piece)
                continue
            line = _line(raw, position)
            if line is None:
                if self._missing == 0 and raw[position] != _CR:
                    raise _malformed(raw[position:])
                break
            if self._missing == 0:
                if line:
                    raise _malformed(line)
                self._missing = None
            elif self._trailer_bytes < 0:
                self._missing = _chunk_size(line) or None
                if self._missing is None:
                    self._trailer_bytes = 0
            else:
                self._trailer_bytes += len(line)
                if self._trailer_bytes > TRAILER_BYTES:
                    raise _malformed(line)
                self.is_complete = not line
            position += len(line) + 2
            if self.is_complete:
                self.following = raw[position:]
                break
        self._raw = raw[position:]
        return pieces


def _line(raw: bytes, start: int) -> bytes | None:
    """Return the line that starts there, without its end; None where that has not come."""
    end = raw.find(b"\r\n", start, start + CHUNK_LINE_BYTES + 2)
    line = raw[start : end if end >= 0 else start + CHUNK_LINE_BYTES + 2]
    # One that a proxy may see the end of and we do not, or that does not end.
    if b"\n" in line or b"\r" in (line if end >= 0 else line[:-1]) or len(line) > CHUNK_LINE_BYTES + 1:
        raise _malformed(line)
    return line if end >= 0 else None


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].rstrip(b" \t")
    if not digits or len(digits) > _MOST_DIGITS or not _HEX.issuperset(digits):
        raise _malformed(line)
    return int(digits, 16)


def _malformed(got: bytes) -> ServiceError:
    return ServiceError(
        "bad_request",
        "the chunked body is malformed: expected the size of a chunk in hexadecimal, the line break that ends a chunk, "
        f"or up to {TRAILER_BYTES} bytes of trailer fields, got {got[:20].decode('latin-1')!r}",
    )


def body_of(
    length: int | None, following: bytes, client: socket.socket, awaits_continue: bool
) -> tuple[RequestBody, bytes]:
    """Return the body after a head, and what came after it already.

    Args:
        length: Its bytes; None for one in chunks.
        following: What came together with the head.
        client: Where the rest comes from.
        awaits_continue: Ask the client for it before it is read.
    """
    awaits_continue = awaits_continue and not following
    if length is None:
        return ChunkedBody(following, client, awaits_continue), b""
    if len(following) >= length:
        return RequestBody(following[:length]), following[length:]
    return SizedBody(following, length - len(following), client, awaits_continue), b""
