"""Notices clients that hang up while their request waits, so that nothing is computed for them.

A client that shuts down only its sending side (half-closes) counts as gone, too: over TCP the two look alike until
something is sent. A client that wants its answer keeps both sides open.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from service.telemetry import log_event
from service.web.decoder import is_gevent_patched

# Between two looks, where the system has no epoll.
CHECK_INTERVAL_S = 0.1

log = logging.getLogger(__name__)


class _Watch:
    """One connection: registered once, for as long as it lives."""

    __slots__ = ("connection", "is_gone", "on_gone")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.is_gone = False
        self.on_gone: Callable[[], None] | None = None


class DisconnectWatcher:
    """One epoll, and one thread (or greenlet) that waits for it, watch the connections of all waiting requests.

    A connection is registered with its first request and stays so: what a request costs is an entry in a table. The
    system forgets a socket when it is closed. The thread starts with the first request.

    Args:
        use_epoll: False looks at all sockets every CHECK_INTERVAL_S instead, as is done where there is no epoll.
    """

    def __init__(self, use_epoll: bool = sys.platform == "linux") -> None:
        self._sockets: _Epoll | _Poll = _Epoll() if use_epoll else _Poll()
        self._watches: dict[int, _Watch] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._end_seen, self._end = os.pipe()

    def watching(
        self, connection: socket.socket | None, on_gone: Callable[[], None]
    ) -> contextlib.AbstractContextManager[None]:
        """Call `on_gone` once if the peer hangs up within the block, or has done so before.

        Args:
            connection: The client's socket; None (no gunicorn, as in tests) watches nothing. One block at a time.
            on_gone: Called at most once, mostly from the watcher's thread; its exceptions are logged.
        """
        if connection is None or connection.fileno() < 0:
            return contextlib.nullcontext()
        return _Watching(self, connection, on_gone)

    def close(self) -> None:
        """Stop the thread; requests that still wait are no longer watched."""
        with self._lock:
            if self._end < 0:
                return
            os.close(self._end)
            self._end = -1
            if self._thread is None:
                self._release()

    def _watch(self, connection: socket.socket, on_gone: Callable[[], None]) -> _Watch:
        number = connection.fileno()
        watch = self._watches.get(number)
        if watch is not None and watch.connection is connection:
            watch.on_gone = on_gone
            return watch
        # A number that another socket had: that one was closed, and took its registration along.
        with self._lock:
            watch = _Watch(connection)
            watch.on_gone = on_gone
            if self._end < 0:  # closed
                return watch
            self._watches[number] = watch
            self._sockets.add(number)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="disconnect-watcher", daemon=True)
                self._thread.start()
        return watch

    def _mark_gone(self) -> list[_Watch]:
        """Mark those that hung up. All at once: while one is told, the others' numbers may change hands."""
        with self._lock:
            gone = [self._watches[number] for number in self._sockets.gone()]
            for watch in gone:
                watch.is_gone = True
        return gone

    def _run(self) -> None:
        # By name, at this time: under gevent it waits in the event loop.
        waiting = select.poll()
        waiting.register(self._end_seen, select.POLLIN | select.POLLHUP)
        timeout = self._sockets.join(waiting)
        while not any(number == self._end_seen for number, _ in waiting.poll(timeout)):
            for watch in self._mark_gone():
                self._tell(watch)
        self._release()

    def _tell(self, watch: _Watch) -> None:
        with self._lock:  # who takes it tells it, once
            on_gone, watch.on_gone = watch.on_gone, None
        if on_gone is None:
            return
        try:
            on_gone()
        except Exception as error:
            log_event(log, logging.WARNING, "job of a client that hung up stays", error=str(error))

    def _release(self) -> None:
        os.close(self._end_seen)
        self._sockets.close()


class _Watching:
    """The context manager of `DisconnectWatcher.watching`; a class, since it is entered for every request."""

    __slots__ = ("_connection", "_entry", "_on_gone", "_watcher")

    def __init__(self, watcher: DisconnectWatcher, connection: socket.socket, on_gone: Callable[[], None]) -> None:
        self._watcher = watcher
        self._connection = connection
        self._on_gone = on_gone

    def __enter__(self) -> None:
        # First the entry, then the look whether the peer is gone; the thread goes about it the other way round.
        self._entry = self._watcher._watch(self._connection, self._on_gone)
        if self._entry.is_gone:
            self._watcher._tell(self._entry)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._entry.on_gone = None


class _Epoll:
    """Sockets whose hanging up the system tells of, each once; it forgets those that are closed."""

    def __init__(self) -> None:
        self._epoll = _of_system("epoll")()

    def add(self, number: int) -> None:
        events = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR | select.EPOLLONESHOT
        try:
            self._epoll.register(number, events)
        except FileExistsError:  # another socket object of the same connection
            self._epoll.modify(number, events)

    def gone(self) -> list[int]:
        return [number for number, _ in self._epoll.poll(0)]

    def join(self, waiting: Any) -> float | None:
        """Have `waiting` wake when one hangs up; returns the milliseconds that it may wait."""
        waiting.register(self._epoll.fileno(), select.POLLIN)
        return None

    def close(self) -> None:
        self._epoll.close()


class _Poll:
    """The same where the system has no epoll: by looking at all of them again and again."""

    def __init__(self) -> None:
        self._poll = _of_system("poll")()

    def add(self, number: int) -> None:
        self._poll.register(number, getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR)

    def gone(self) -> list[int]:
        numbers = [number for number, _ in self._poll.poll(0)]
        for number in numbers:
            self._poll.unregister(number)
        return numbers

    def join(self, _waiting: Any) -> float | None:
        return CHECK_INTERVAL_S * 1000

    def close(self) -> None:
        pass


def _of_system(name: str) -> Any:
    """Return a member of `select` as it was before gevent: its own wait in its loop, or are not there."""
    if is_gevent_patched():
        from gevent import monkey

        return monkey.get_original("select", name)
    return getattr(select, name)
