"""The one clock of a web process: what has to happen without anybody asking."""

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

BUSY_TICK_S = 0.05
IDLE_TICK_S = 1.0


class Timekeeper:
    """A thread that calls `tick` every 50 ms while something is going on, each second else, and by each deadline.

    A timer for each job would cost more than all else that is done to wait for it.
    """

    def __init__(self, tick: Callable[[float], float]) -> None:
        """`tick(now)`: returns by when it wants to be called again, on the monotonic clock."""
        self._tick = tick
        self._next = 0.0
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="broker timekeeper", daemon=True)
        self._thread.start()

    def attend(self) -> None:
        """See that a tick comes soon: something has begun."""
        self.be_there(time.monotonic() + BUSY_TICK_S)

    def be_there(self, moment: float) -> None:
        """See that a tick comes soon after `moment`."""
        if moment < self._next:
            self._next = moment
            self._wake.set()

    def close(self) -> None:
        """End."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(IDLE_TICK_S)

    def _run(self) -> None:
        while not self._closing:
            self._wake.clear()
            now = time.monotonic()
            self._next = now + IDLE_TICK_S  # what is asked for during the tick counts
            try:
                wanted = self._tick(now)
            except Exception:  # without it nothing would end
                logger.exception("a tick failed, the next one follows")
                wanted = now + BUSY_TICK_S
            self._next = min(self._next, wanted)
            # Rounded up: a tick that came a moment before the deadline would find nothing to do.
            wait_s = self._next - time.monotonic()
            if wait_s > 0:
                self._wake.wait(wait_s + 0.001)
