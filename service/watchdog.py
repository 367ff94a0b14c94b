"""The limit on computing: a process whose batch computes for too long is hung, and ends."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.telemetry import log_event

HUNG = 70  # exit status; EX_SOFTWARE of sysexits.h
TICK_S = 0.1
STDERR = 2

log = logging.getLogger(__name__)


class Watchdog:
    """A thread that ends the process when something it was told of takes longer than its limit.

    It looks every 0.1 s, so that arming costs the hot path one assignment. Where the hung code holds the
    interpreter lock this thread cannot run either; for that case `faulthandler`, which needs no lock, is set to
    end the process when the thread has not come round for `stall_limit_s` seconds.

    Args:
        stall_limit_s: how long this thread may be kept from running; longer than any limit.
        end: called with the exit status in place of `os._exit`; for tests.
    """

    def __init__(self, stall_limit_s: float, *, end: Callable[[int], object] = os._exit) -> None:
        self._stall_limit_s = stall_limit_s
        self._end = end
        self._current: tuple[float, float, str] | None = None  # when to end, the limit, of what
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; nothing is watched any more."""
        self._stopped.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    @contextmanager
    def limit(self, limit_s: float, what: str) -> Iterator[None]:
        """What runs inside may take `limit_s` seconds. One at a time."""
        self._current = (time.monotonic() + limit_s, limit_s, what)
        try:
            yield
        finally:
            self._current = None

    def _watch(self) -> None:
        next_stall_check = 0.0
        while not self._stopped.wait(TICK_S):
            now = time.monotonic()
            current = self._current
            if current is not None and now > current[0]:
                log_event(
                    log,
                    logging.ERROR,
                    "computing hangs, the process ends",
                    what=current[2],
                    limit_s=current[1],
                    where=_whereabouts(),
                )
                self._end(HUNG)
                return
            if now >= next_stall_check:
                faulthandler.dump_traceback_later(self._stall_limit_s, exit=True, file=STDERR)
                next_stall_check = now + self._stall_limit_s / 4


def _whereabouts() -> str:
    """Where the main thread is, on one line."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    if frame is None:
        return "nowhere to be found"
    return f"in {frame.f_code.co_name} at {frame.f_code.co_filename}:{frame.f_lineno}"
