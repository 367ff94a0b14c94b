"""The worker's second thread: gets the next batch ready while one is computed, and hands in the one before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from service.watchdog import Pulse, Watchdog

Ready = TypeVar("Ready")
Result = TypeVar("Result")


class Lookahead(Generic[Ready]):
    """Does one thing at a time for the thread that computes, so that the model never waits.

    Its methods are for that one thread. Whatever an action raises is raised by the next call of one of them.

    Args:
        get: gets the next batch ready; None where none waits. It says its steps to the pulse of the second thread.
        watchdog: watches the second thread.
    """

    def __init__(self, get: Callable[[Pulse], Ready | None], watchdog: Watchdog) -> None:
        self._get = get
        self._watchdog = watchdog
        self._changed = threading.Condition()
        self._get_at: float | None = None
        self._getting = False
        self._ready: Ready | None = None
        self._errand: Callable[[Pulse], object] | None = None
        self._failure: BaseException | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def ask(self, at: float) -> None:
        """Have the next batch made ready, beginning at this time of the monotonic clock."""
        with self._changed:
            self._raise_failure()
            self._start()
            self._get_at = at
            self._changed.notify_all()

    def take(self) -> Ready | None:
        """What was made ready since `ask`; waits where that is under way, and withdraws it where it has not begun."""
        with self._changed:
            self._get_at = None
            while self._getting:
                self._changed.wait()
            self._raise_failure()
            ready, self._ready = self._ready, None
            return ready

    def send(self, errand: Callable[[Pulse], object]) -> None:
        """Have something done at once; waits until the errand before is done."""
        with self._changed:
            while self._errand is not None:
                self._changed.wait()
            self._raise_failure()
            self._start()
            self._errand = errand
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread, when what it was sent to do is done."""
        with self._changed:
            self._closing = True
            self._get_at = None
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._raise_failure()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lookahead", daemon=True)
            self._thread.start()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _run(self) -> None:
        pulse = self._watchdog.pulse()
        with self._changed:
            while True:
                now = time.monotonic()
                if self._errand is not None:
                    self._do(self._errand, pulse)
                    self._errand = None
                elif self._get_at is not None and self._get_at <= now:
                    self._get_at, self._getting = None, True
                    self._ready = self._do(self._get, pulse)
                    self._getting = False
                elif self._closing:
                    return
                else:
                    pulse.rest()
                    self._changed.wait(None if self._get_at is None else self._get_at - now)
                    continue
                self._changed.notify_all()

    def _do(self, action: Callable[[Pulse], Result | None], pulse: Pulse) -> Result | None:
        """Do it with the lock given back meanwhile."""
        self._changed.release()
        try:
            return action(pulse)
        except BaseException as error:  # whatever it is, the thread that computes must hear of it
            self._failure = error
            return None
        finally:
            self._changed.acquire()
