"""The limits on progress: a process one of whose threads stands still for longer than it may is hung, and ends."""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable

from service.telemetry import log_event

HUNG = 70  # exit status; EX_SOFTWARE of sysexits.h
TICK_S = 0.1
LONGEST_TICK_S = 1.0  # what counts of a tick that took longer: the process was stopped, or starved, as a whole
LAST_WORDS_S = 1.0  # for telling; nobody may be reading
FRAMES = 4  # of a hung thread, innermost first
STDERR = 2

log = logging.getLogger(__name__)


class Pulse:
    """The progress of one thread, that says with each step what it does next and how long that may take."""

    def __init__(self, thread_id: int) -> None:
        self.thread_id = thread_id
        self.count = 0
        self.limit_s = math.inf
        self.what = ""
        self.seen = 0  # the watchdog's: the step that it saw last, and for how long
        self.seen_s = 0.0

    def step(self, limit_s: float, what: str) -> None:
        """From now on the thread does `what`; without another step within `limit_s` seconds it is hung."""
        self.limit_s, self.what = limit_s, what
        self.count += 1

    def rest(self) -> None:
        """From now on the thread waits for another one, for however long."""
        self.step(math.inf, "resting")


class Watchdog:
    """A thread that ends the process when another one stands still.

    It looks every 0.1 s, so that a step costs the hot path three assignments. It counts the time in which the process
    could run: one that was stopped by a signal gets the chance to go on. Where the hung code holds the interpreter lock
    this thread cannot run either; for that case `faulthandler`, which needs no lock, is set to end the process when
    the thread has not come round for `stall_limit_s` seconds.

    Args:
        stall_limit_s: how long this thread may be kept from running; longer than what may hold the lock.
        end: called with the exit status in place of `os._exit`; for tests.
    """

    def __init__(self, stall_limit_s: float, *, end: Callable[[int], object] = os._exit) -> None:
        self._stall_limit_s = stall_limit_s
        self._end = end
        self._pulses: list[Pulse] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def pulse(self) -> Pulse:
        """A pulse for the calling thread, watched from now on."""
        pulse = Pulse(threading.get_ident())
        self._pulses.append(pulse)
        return pulse

    def start(self) -> None:
        """Start watching."""
        self._set_stall_limit()  # now: the lock may be taken for good before the thread comes to it
        self._thread.start()

    def stop(self) -> None:
        """End the thread; nothing is watched any more."""
        self._stopped.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        before = stall_limit_set = time.monotonic()
        while not self._stopped.wait(TICK_S):
            now = time.monotonic()
            passed_s, before = min(now - before, LONGEST_TICK_S), now
            for pulse in tuple(self._pulses):
                if pulse.seen != pulse.count:
                    pulse.seen, pulse.seen_s = pulse.count, 0.0
                    continue
                pulse.seen_s += passed_s
                if pulse.seen_s > pulse.limit_s:
                    self._end_hung(pulse)
                    return
            if now - stall_limit_set > min(1.0, self._stall_limit_s / 8):
                self._set_stall_limit()
                stall_limit_set = now

    def _set_stall_limit(self) -> None:
        faulthandler.dump_traceback_later(self._stall_limit_s, exit=True, file=STDERR)

    def _end_hung(self, pulse: Pulse) -> None:
        # In a thread of its own: it may be logging that hangs.
        words = threading.Thread(target=_tell, args=(pulse,), name="last words", daemon=True)
        words.start()
        words.join(LAST_WORDS_S)
        self._end(HUNG)


def _tell(pulse: Pulse) -> None:
    log_event(
        log,
        logging.ERROR,
        "a thread hangs, the process ends",
        what=pulse.what,
        limit_s=pulse.limit_s,
        where=_whereabouts(pulse.thread_id),
    )


def _whereabouts(thread_id: int) -> str:
    """Where a thread is, and whence it was called, on one line."""
    frame = sys._current_frames().get(thread_id)
    places: list[str] = []
    while frame is not None and len(places) < FRAMES:
        places.append(f"{frame.f_code.co_name} at {frame.f_code.co_filename}:{frame.f_lineno}")
        frame = frame.f_back
    return ", called by ".join(places) or "nowhere to be found"
