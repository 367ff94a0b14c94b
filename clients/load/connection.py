"""One connection: sends a request, reads its answer, and says how the request ended, whatever happened to it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from httptools import HttpParserError, HttpResponseParser

from clients.load.answers import read_answer
from clients.load.exchange import Exchange, Tail
from clients.load.outcomes import Ending
from clients.load.targets import Target

RECEIVE_BYTES = 64 * 1024
MOST_STREAMED_BYTES = 256 * 1024 * 1024
"""So much of a body without an end is sent at most."""

_MOST_ANSWER_BYTES = 1024 * 1024
_PIECES_A_TURN = 8
_PIECE = b"10000\r\n" + b"\0" * 0x10000 + b"\r\n"  # a chunk; where no chunks are due it is as good as any


class Connection(asyncio.BufferedProtocol):
    """A connection to a target; it opens with its first request, and carries one at a time.

    Args:
        target: Where it goes.
        received: Memory to receive into; all connections of a thread may share it.
        on_open: Called once it is open and has sent what waited for it.
        on_end: Called with the connection and its exchange each time one has ended.
        on_surplus: Called when an answer came that no request had asked for.
    """

    def __init__(
        self,
        target: Target,
        received: memoryview,
        on_open: Callable[[Connection], None],
        on_end: Callable[[Connection, Exchange], None],
        on_surplus: Callable[[], None],
    ) -> None:
        self.target = target
        self.exchange: Exchange | None = None
        self._received = received
        self._on_open = on_open
        self._on_end = on_end
        self._on_surplus = on_surplus
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._parser = HttpResponseParser(self)
        self._is_reusable = True
        self._is_complete = False
        self._answered = 0
        self._streamed = 0
        self._has_unsent = False
        self._body = b""
        self._begin_answer()

    @property
    def is_idle(self) -> bool:
        """Whether the next request may be sent over it."""
        return self.exchange is None and self._is_reusable

    def send(self, exchange: Exchange) -> None:
        """Send a request as soon as the connection is there."""
        self.exchange = exchange
        if self._transport is not None:
            self._write(exchange)
        else:
            self._opening = asyncio.ensure_future(self._open())

    def give_up(self) -> None:
        """Wait no longer for the answer, and close the connection."""
        self._finish(Ending.TIMEOUT)

    def close(self) -> None:
        """Close the connection; what it carries ends as hung up."""
        self._is_reusable = False
        if self.exchange is not None:
            self._finish(Ending.HUNG_UP)
        if self._transport is None:
            if self._opening is not None:
                self._opening.cancel()
        elif self._has_unsent:
            self._transport.abort()  # what is not sent yet is not worth waiting for
        else:
            self._transport.close()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        target = self.target
        try:
            if target.port:
                await loop.create_connection(
                    lambda: self, target.host, target.port, ssl=target.tls, server_hostname=target.server_name
                )
            else:
                await loop.create_unix_connection(lambda: self, target.host)
        except OSError:
            self._opening = None
            self._finish(Ending.REFUSED)

    def _write(self, exchange: Exchange) -> None:
        transport = self._transport
        assert transport is not None
        exchange.reused = self._answered > 0
        exchange.sent = time.monotonic()
        transport.write(exchange.content)
        if exchange.hangs_up_after_s is not None:
            asyncio.get_running_loop().call_later(exchange.hangs_up_after_s, self._hang_up, exchange)
        if transport.is_closing():  # the connection was gone already
            self._has_unsent = True
        elif exchange.tail == Tail.HALF_CLOSE:
            with contextlib.suppress(OSError, NotImplementedError):
                transport.write_eof()
        elif exchange.tail == Tail.STREAM:
            self._streamed = 0
            self._stream()

    def _hang_up(self, exchange: Exchange) -> None:
        if self.exchange is exchange:
            self._finish(Ending.HUNG_UP)

    def _stream(self) -> None:
        """Send more of a body without an end, as far as the connection takes it, in turns with all else."""
        transport, exchange = self._transport, self.exchange
        if transport is None or exchange is None or exchange.tail != Tail.STREAM or transport.is_closing():
            return
        for _ in range(_PIECES_A_TURN):
            if self._has_unsent or self._streamed >= MOST_STREAMED_BYTES:
                return
            transport.write(_PIECE)
            self._streamed += len(_PIECE)
        asyncio.get_running_loop().call_soon(self._stream)

    def _finish(self, ending: Ending) -> None:
        """End the exchange; unless its answer came, the connection is of no more use."""
        exchange = self.exchange
        if exchange is None:
            return
        self.exchange = None
        exchange.ended = time.monotonic()
        exchange.ending = ending
        if self._transport is None:
            exchange.sent = exchange.ended
        if ending != Ending.ANSWERED:
            self._is_reusable = False
        if not self._is_reusable:
            self.close()
        self._on_end(self, exchange)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what waited for the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # so that we are told whenever a part could not be sent at once
        if self.exchange is not None:
            self._write(self.exchange)
            self._on_open(self)
        else:  # given up meanwhile
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return memory for what arrives."""
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what arrived."""
        if self.exchange is None:
            self._unasked(self._received[:nbytes])
            return
        try:
            self._parser.feed_data(self._received[:nbytes])
        except HttpParserError:
            if not self._is_complete:  # a whole answer counts, rubbish after it or not
                self._finish(Ending.GARBLED)
                return
            self._is_reusable = False
        if self._is_complete:
            self._answer_came()

    def eof_received(self) -> None:
        """Take the end of the connection for that of an answer which announced no other."""
        self._is_reusable = False
        if self.exchange is not None and self._has_head and not self._is_framed:
            self._answer_came()

    def connection_lost(self, error: Exception | None) -> None:
        """End the exchange that was under way."""
        self._is_reusable = False
        transport = self._transport
        if self.exchange is None or transport is None:
            return
        if self._has_unsent:
            self._finish(Ending.RESET_BEFORE)
        else:
            self._finish(Ending.CLOSED if error is None else Ending.RESET)

    def pause_writing(self) -> None:
        """Note that a part of the request waits to be sent."""
        self._has_unsent = True

    def resume_writing(self) -> None:
        """Note that all is sent, and go on with a body that has no end."""
        self._has_unsent = False
        self._stream()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A second answer to one request would be one too many."""
        if self._is_complete:
            self._is_reusable = False
            if self.exchange is None or not self.exchange.malformed:
                self._on_surplus()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note the few headers that matter."""
        name = name.lower()
        if name == b"retry-after":
            self._retry_after = value
        elif name in (b"content-length", b"transfer-encoding"):
            self._is_framed = True

    def on_headers_complete(self) -> None:
        """Note that the status is known."""
        self._has_head = True

    def on_body(self, content: bytes) -> None:
        """Keep the beginning of the body."""
        if not self._is_complete and len(self._body) < _MOST_ANSWER_BYTES:
            self._body = self._body + content if self._body else content

    def on_message_complete(self) -> None:
        """Note that the answer is whole; it is looked at when all that arrived is parsed."""
        if self._is_complete:
            return
        status = self._parser.get_status_code()
        if status < 200:  # only announces the answer
            self._begin_answer()
            return
        self._status = status
        self._is_complete = True
        if not self._parser.should_keep_alive():
            self._is_reusable = False

    def _begin_answer(self) -> None:
        self._body = b""
        self._retry_after = b""
        self._status = 0
        self._has_head = False
        self._is_framed = False
        self._is_complete = False

    def _answer_came(self) -> None:
        exchange = self.exchange
        assert exchange is not None
        exchange.status = self._status or self._parser.get_status_code()
        exchange.label, exchange.code = read_answer(self._body)
        if self._retry_after:
            with contextlib.suppress(ValueError):  # it may also be a date
                exchange.retry_after_s = float(self._retry_after)
        self._answered += 1
        # Answered before all was sent: the rest could not be told from the next request.
        if exchange.malformed or self._has_unsent:
            self._is_reusable = False
        self._begin_answer()
        self._finish(Ending.ANSWERED)

    def _unasked(self, content: memoryview) -> None:
        """Note an answer that nobody asked for, unless it says that the server waited for a request (408)."""
        if self._is_reusable and self._transport is not None and not bytes(content[:13]).endswith(b" 408 "):
            self._on_surplus()
        self.close()
