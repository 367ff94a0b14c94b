"""Commands that do not wait for the replies of those before: one connection, one reader, replies in order."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import redis

from .exceptions import BrokerError
from .waking import Kind, kind
from .wire import ConnectionCut, Wire, pack

_PING = pack(("PING",))

logger = logging.getLogger(__name__)

Handler = Callable[[Any], None]
"""Called with one reply, or an exception where none comes; by the reader of the pipeline, so it must not wait."""

# Small commands that go out in the same moment are joined up to this size.
SENT_TOGETHER = 64 * 1024


class Pipeline:
    """One connection to one server, made when there is something to send, and made again after it broke.

    Where the connection breaks, every reply that is outstanding becomes an exception of the client library; nothing is
    sent again by itself. Safe to use from many threads, and under gevent from all greenlets of one.
    """

    def __init__(self, name: str, open_wire: Callable[[], Wire], patience_s: float) -> None:
        """`open_wire`: makes a connection, may wait; `patience_s`: a server that owes a reply for so long is gone."""
        self._name = name
        self._open_wire = open_wire
        self._patience_s = patience_s
        self._kind: Kind = kind()
        self._lock = self._kind.lock()
        self._outstanding: deque[Handler] = deque()
        self._unsent: deque[bytes | memoryview] = deque()
        # Whether what is unsent will be sent by itself: a flush is under way, or the reader sees to it.
        self._flushing = False
        self._wire: Wire | None = None
        self._readiness: Any = None
        self._to_do = threading.Event()
        self._closing = False
        self._ended = False
        self._thread: threading.Thread | None = None
        self._heard = 0
        self._heard_before = 0
        self._silent_looks = 0
        self._silent_since = 0.0
        self._cut = False

    def send(self, packed: bytes, *handlers: Handler) -> None:
        """Send one command, or several of them packed together, each with a handler of its own."""
        if self._thread is None:
            self._start()
        with self._lock:
            if not self._ended:
                self._outstanding.extend(handlers)
                self._unsent.append(packed)
                if self._flushing:
                    return
                self._flushing = True
        if self._ended:
            for handler in handlers:
                self._tell(handler, redis.exceptions.ConnectionError("this side was closed"))
        else:
            self._kind.soon(self._flush)

    @property
    def busy(self) -> bool:
        """Whether a reply is owed."""
        return bool(self._outstanding)

    def look(self, now: float) -> None:
        """Give the connection up if the server has owed a reply for too long; to be called every now and then."""
        if self._heard != self._heard_before or not self._outstanding:
            self._heard_before = self._heard
            self._silent_looks = 0
            return
        if not self._silent_looks:
            self._silent_since = now
        self._silent_looks += 1
        # Where this process itself stood still, the reader has its turn between two looks.
        if self._silent_looks > 2 and now - self._silent_since > self._patience_s:
            self._cut = True
            self.reset()

    def reset(self) -> None:
        """Give this connection up; the next command makes a new one."""
        wire = self._wire
        if wire is not None:
            wire.hang_up()

    def close(self, *, at_once: bool = False) -> None:
        """End, after sending what is unsent and waiting for what is owed, if the server is there; or `at_once`."""
        if self._thread is None:
            self._ended = True
            return
        if not at_once:
            answered = threading.Event()
            self.send(_PING, lambda _: answered.set())
            answered.wait(self._patience_s)
        self._closing = True
        self._to_do.set()
        self.reset()
        self._thread.join(self._patience_s)

    def _flush(self) -> None:
        """Hand to the socket what it takes; the reader does the rest, and connects."""
        with self._lock:
            wire = self._wire
            if wire is None:
                self._to_do.set()
                return
            self._flushing = self._hand_over(wire)
            if self._flushing:
                self._readiness.want_write()

    def _hand_over(self, wire: Wire) -> bool:
        """Whether something is left to be sent; with the lock held."""
        unsent = self._unsent
        while unsent:
            data = unsent.popleft()
            if unsent and len(data) < SENT_TOGETHER:
                parts, size = [data], len(data)
                while unsent and size < SENT_TOGETHER:
                    parts.append(unsent.popleft())
                    size += len(parts[-1])
                data = b"".join(parts)
            try:
                taken = wire.send(data)
            except OSError:  # the reader sees the same
                wire.hang_up()
                return True
            if taken and data.__class__ is memoryview:  # the server reads on, though it has not replied yet
                self._heard += 1
            if taken < len(data):
                unsent.appendleft(memoryview(data)[taken:])
                return True
        return False

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            name = f"broker pipeline {self._name}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._to_do.wait()
            self._to_do.clear()
            if self._closing:
                with self._lock:
                    self._ended = True
                self._fail(redis.exceptions.ConnectionError("this side was closed"))
                return
            if not self._outstanding:
                continue
            error: Exception
            try:
                wire = self._open_wire()
            except (redis.exceptions.RedisError, BrokerError) as failure:
                error = failure
            except Exception as failure:
                logger.exception("no connection to %s could be made", self._name)
                error = redis.exceptions.ConnectionError(str(failure))
            else:
                error = self._serve(wire)
            self._fail(error)

    def _serve(self, wire: Wire) -> Exception:
        """Read until the connection ends; why it did."""
        wire.unblock()
        readiness = self._kind.readiness(wire.fileno())
        self._cut = False
        self._silent_looks = 0
        with self._lock:
            self._wire, self._readiness = wire, readiness
        error: Exception = ConnectionCut("the server closed the connection")
        try:
            if not self._closing:  # `close` may have come before there was a connection to end
                self._read(wire, readiness)
        except OSError as failure:
            error = ConnectionCut(f"the connection broke: {failure}")
        except redis.exceptions.RedisError as failure:
            error = failure
        except Exception as failure:  # those who wait would wait for ever
            logger.exception("what came from %s could not be read", self._name)
            error = redis.exceptions.ConnectionError(str(failure))
        finally:
            with self._lock:
                self._wire = self._readiness = None
            readiness.close()
            wire.close()
        return redis.exceptions.TimeoutError(f"no reply within {self._patience_s:g} s") if self._cut else error

    def _read(self, wire: Wire, readiness: Any) -> None:
        outstanding = self._outstanding
        while True:
            if self._flushing:
                with self._lock:
                    self._flushing = self._hand_over(wire)
            readiness.wait(self._flushing)
            replies = wire.receive()
            if replies is None:
                return
            if not replies:
                continue
            self._heard += 1
            for reply in replies:
                self._tell(outstanding.popleft(), reply)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            handlers = list(self._outstanding)
            self._outstanding.clear()
            self._unsent.clear()
            self._flushing = False
        for handler in handlers:
            self._tell(handler, error)

    def _tell(self, handler: Handler, reply: Any) -> None:
        try:
            handler(reply)
        except Exception:  # the replies of others follow
            logger.exception("what came from %s could not be dealt with", self._name)
