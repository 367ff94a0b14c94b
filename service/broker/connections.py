"""Open connections to one server, lent to one command at a time."""

import threading
import time
from typing import Any

import redis

from .wire import Wire, pack


class Connections:
    """What commands whose reply is waited for go over; safe to use from many threads.

    The client library's own way asks the operating system before each command whether the connection still stands,
    and measures and retries around it; all of that costs more than the command. Here a connection that broke shows
    when it is used, and the caller repeats what may be repeated.
    """

    def __init__(self, pool: redis.ConnectionPool, most: int, patience_s: float) -> None:
        """`pool`: where connections are made; `most`: open at once; `patience_s`: the longest wait for one of them."""
        self._pool = pool
        self._most = most
        self._patience_s = patience_s
        self._idle: list[Wire] = []
        self._changed = threading.Condition()
        self._open = 0
        self._waiting = 0

    def call(self, *command: Any) -> Any:
        """The server's answer, as bytes, numbers and lists of them; errors are those of the client library."""
        return self.call_packed(pack(command))

    def call_packed(self, command: bytes) -> Any:
        """The same, for a command that is packed already."""
        try:
            wire = self._idle.pop()
        except IndexError:
            wire = self._another()
        try:
            answer = wire.call(command)
        except redis.exceptions.ResponseError:  # an answer like others
            self._put_back(wire)
            raise
        except BaseException:  # an answer may still come, and would be taken for that of the next command
            self._drop(wire)
            self.drop_idle()  # what ended one connection probably ended all
            raise
        self._put_back(wire)
        return answer

    def drop_idle(self) -> None:
        """Close those that nobody uses at the moment."""
        while True:
            try:
                wire = self._idle.pop()
            except IndexError:
                return
            self._drop(wire)

    def close(self) -> None:
        """Close all."""
        self.drop_idle()
        self._pool.disconnect()

    def _another(self) -> Wire:
        """A new connection, or the next that is put back where there are enough."""
        until = time.monotonic() + self._patience_s
        with self._changed:
            self._waiting += 1  # before the look, so that who puts one back after it tells
            try:
                while self._open >= self._most:
                    try:
                        return self._idle.pop()
                    except IndexError:
                        if not self._changed.wait(until - time.monotonic()):
                            raise redis.exceptions.ConnectionError("all connections are in use") from None
            finally:
                self._waiting -= 1
            self._open += 1
        try:
            return Wire(self._pool)
        except BaseException:
            self._dropped()
            raise

    def _put_back(self, wire: Wire) -> None:
        self._idle.append(wire)
        if self._waiting:
            with self._changed:
                self._changed.notify()

    def _drop(self, wire: Wire) -> None:
        wire.close()
        self._dropped()

    def _dropped(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify()
