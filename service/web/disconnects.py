"""Notices clients that hang up while their request waits, so that nothing is computed for them."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator

from service.telemetry import log_event
from service.web.decoder import is_gevent_patched

CHECK_INTERVAL_S = 0.1
_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL

log = logging.getLogger(__name__)


class DisconnectWatcher:
    """One thread (or greenlet) per process looks at the sockets of all waiting requests, ten times a second.

    One zero-timeout poll covers them all, whatever their number. The thread starts with the first request
    and sleeps while none waits.

    Args:
        interval_s: Seconds between two looks.
    """

    def __init__(self, interval_s: float = CHECK_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._poll = _system_poll()
        self._on_gone: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._occupied = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def watching(self, connection: socket.socket | None, on_gone: Callable[[], None]) -> Iterator[None]:
        """Call `on_gone` once, from the watcher's thread, if the peer hangs up within the block.

        Args:
            connection: The client's socket; None (no gunicorn, as in tests) watches nothing.
            on_gone: Called at most once; its exceptions are logged.
        """
        number = -1 if connection is None else connection.fileno()
        if number < 0:
            yield
            return
        with self._lock:
            self._on_gone[number] = on_gone
            self._poll.register(number, _GONE)
            self._occupied.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="disconnect-watcher", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._forget(number, on_gone)

    def close(self) -> None:
        """Stop the thread; requests that still wait are no longer watched."""
        self._stopped.set()
        self._occupied.set()

    def _forget(self, number: int, on_gone: Callable[[], None]) -> None:
        # Only what was put there: a socket that closed leaves its number to the next one.
        if self._on_gone.get(number) is on_gone:
            del self._on_gone[number]
            self._poll.unregister(number)
        if not self._on_gone:
            self._occupied.clear()

    def _take_gone(self) -> list[Callable[[], None]]:
        """Stops watching those that hung up. All at once: while one is told, the others' numbers may change hands."""
        with self._lock:
            gone = [(number, self._on_gone[number]) for number, _ in self._poll.poll(0)]
            for number, on_gone in gone:
                self._forget(number, on_gone)
        return [on_gone for _, on_gone in gone]

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._occupied.wait()
            if self._stopped.wait(self._interval_s):
                return
            for on_gone in self._take_gone():
                try:
                    on_gone()
                except Exception as error:
                    log_event(log, logging.WARNING, "job of a client that hung up stays", error=str(error))


def _system_poll() -> select.poll:
    # gevent's own poll waits through its loop; the system's, with a timeout of 0, does not wait at all.
    if is_gevent_patched():
        from gevent import monkey

        return monkey.get_original("select", "poll")()
    return select.poll()
