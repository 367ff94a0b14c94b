"""Bytes to and from one server: commands packed and replies parsed by hiredis, straight on a connection's socket.

The client library makes the connections (address, TLS, password, Sentinel), and steps aside once they stand: what it
does around each command costs several times what the command does.
"""

import contextlib
import functools
import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from typing import Any

import hiredis
import redis
from redis.connection import BaseParser

from .waking import Threads, kind

RECEIVED_AT_ONCE = 65536
# The socket has nothing to read, or takes nothing, at the moment.
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_INCOMPLETE = object()


class ConnectionCut(redis.exceptions.ConnectionError):
    """A connection that stood broke; that says nothing against the next one."""


def pack(command: tuple[Any, ...]) -> bytes:
    """A command, of texts, numbers and bytes."""
    packed: bytes = hiredis.pack_command(command)
    return packed


@functools.lru_cache(maxsize=256)
def script_head(digest: str, start: str) -> bytes:
    """How every call of one script on one partition begins, after the number of its parts."""
    return pack_parts("EVALSHA", digest, 1, start)


def pack_parts(*parts: Any) -> bytes:
    """Parts of a command, to be joined with others."""
    packed: list[bytes] = []
    for part in parts:
        data = part if part.__class__ is bytes else str(part).encode()
        packed += (b"$%d\r\n" % len(data), data, b"\r\n")
    return b"".join(packed)


def pack_script(head: bytes, arguments: Sequence[Any]) -> bytes:
    """A call of the script with this head."""
    return b"*%d\r\n%b%b" % (len(arguments) + 4, head, pack_parts(*arguments))


class Wire:
    """One open connection; `call` waits for its reply, `send` and `receive` do not wait once `unblock` was called."""

    def __init__(self, pool: redis.ConnectionPool) -> None:
        """Take a connection of `pool` and see that it stands; raises what the client library raises."""
        self._pool = pool
        self._connection: Any = pool.get_connection()
        self._socket: Any = self._connection._sock  # it has no public name
        self._buffer = bytearray(RECEIVED_AT_ONCE)
        self._reader: Any = hiredis.Reader(
            protocolError=redis.exceptions.InvalidResponse,
            replyError=BaseParser.parse_error,
            notEnoughData=_INCOMPLETE,
        )
        self._let_the_kernel_time()
        # Two threads must not be inside of one TLS session at once; a plain socket does not mind.
        self._one_at_a_time: Any = contextlib.nullcontext()
        if isinstance(self._socket, ssl.SSLSocket):
            self._one_at_a_time = threading.Lock()

    def _let_the_kernel_time(self) -> None:
        """Python polls a socket with a timeout before each call; the kernel can keep the time alone."""
        timeout_s = self._socket.gettimeout()
        if not timeout_s or isinstance(self._socket, ssl.SSLSocket) or not isinstance(kind(), Threads):
            return
        interval = struct.pack("ll", int(timeout_s), int(timeout_s % 1 * 1_000_000))
        self._socket.settimeout(None)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, interval)

    def call(self, packed: bytes) -> Any:
        """Send one command and wait for its reply; raises the reply if it is an error, as the client library does."""
        reader = self._reader
        try:
            self._socket.sendall(packed)
            while (reply := reader.gets()) is _INCOMPLETE:
                length = self._socket.recv_into(self._buffer)
                if not length:
                    raise ConnectionCut("the server closed the connection")
                reader.feed(self._buffer, 0, length)
        except (TimeoutError, BlockingIOError):
            raise redis.exceptions.TimeoutError("no reply in time") from None
        except OSError as error:
            raise ConnectionCut(f"the connection broke: {error}") from error
        if isinstance(reply, Exception):
            raise reply
        return reply

    def fileno(self) -> int:
        """Of the socket."""
        return int(self._socket.fileno())

    def unblock(self) -> None:
        """From now on `send` and `receive` do at once what can be done."""
        self._socket.setblocking(False)

    def send(self, data: bytes | memoryview) -> int:
        """How many of these bytes were taken; raises OSError."""
        try:
            with self._one_at_a_time:
                return int(self._socket.send(data))
        except NOT_NOW:
            return 0

    def receive(self) -> list[Any] | None:
        """The replies that have come in full, errors among them as exceptions; None where the server hung up.

        Raises:
            OSError: the connection broke.
            redis.exceptions.InvalidResponse: what came is no reply.
        """
        reader, buffer = self._reader, self._buffer
        try:
            while True:
                with self._one_at_a_time:
                    length = self._socket.recv_into(buffer)
                if not length:
                    return None
                reader.feed(buffer, 0, length)
                if length < len(buffer) and self._one_at_a_time.__class__ is contextlib.nullcontext:
                    break  # a TLS session may hold more, which no poll would tell of
        except NOT_NOW:
            pass
        replies = []
        while (reply := reader.gets()) is not _INCOMPLETE:
            replies.append(reply)
        return replies

    def hang_up(self) -> None:
        """End the connection so that whoever reads it wakes; `close` is still to be called."""
        with contextlib.suppress(OSError):
            # Not the method of TLS sockets, which says goodbye first and forgets the session that another may be using.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()
        self._pool.release(self._connection)
