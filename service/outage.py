"""The queue server's absences: trying again until it is back, told once when it leaves and once when it returns."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from service.broker import BrokerUnavailable
from service.telemetry import log_event

FIRST_BACK_OFF_S = 0.05
LONGEST_BACK_OFF_S = 2.0

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Outage:
    """What the threads of a worker know together of an absence.

    Args:
        stopping: set when the worker is told to stop; then nothing is tried again.
    """

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._lock = threading.Lock()
        self._since: float | None = None

    def persist(self, action: Callable[[], Result]) -> Result | None:
        """What `action` returns, done again while the queue server is away; None where told to stop before it worked.

        Safe to use from several threads.
        """
        back_off_s = FIRST_BACK_OFF_S
        while True:
            try:
                result = action()
            except BrokerUnavailable as error:
                self._begin(error)
                if self._stopping.wait(back_off_s):
                    return None
                back_off_s = min(2 * back_off_s, LONGEST_BACK_OFF_S)
            else:
                if self._since is not None:
                    self._end()
                return result

    def _begin(self, error: BrokerUnavailable) -> None:
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()
                log_event(log, logging.WARNING, "the queue server is away", reason=str(error))

    def _end(self) -> None:
        with self._lock:
            if self._since is not None:
                away_s = round(time.monotonic() - self._since, 1)
                log_event(log, logging.WARNING, "the queue server is back", away_s=away_s)
                self._since = None
