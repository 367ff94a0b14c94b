"""What a fault is, and when it strikes: at moments drawn from a seed, each written down with its window."""

from __future__ import annotations

import random
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence

from clients.load.audit import FaultWindow
from tests.faults.deployment import Deployment

LATEST_FIRST = 0.75  # share of a run by which every fault is to have struck, but for its jitter
JITTER = 0.25  # share of the time between two strikes by which it varies


class Fault(ABC):
    """One thing that is done to a deployment, again and again.

    Args:
        every_s: mean seconds between the ends of one strike and the beginnings of the next.
        first_s: mean seconds until the first one; None: as `every_s`.
        most: strikes at most; None: as many as there is time for.

    Attributes:
        aftermath_s: for so long after a strike what it did may still show; its window ends then.
        breaks: whether connections of direct clients may break in its windows.
        hurts: whether answers other than predictions are allowed in its windows.
    """

    aftermath_s = 0.0
    breaks = False
    hurts = False

    def __init__(self, every_s: float, *, first_s: float | None = None, most: int | None = None) -> None:
        self.every_s = every_s
        self.first_s = every_s if first_s is None else first_s
        self.most = most

    @property
    def name(self) -> str:
        """For windows and reports."""
        return type(self).__name__

    @abstractmethod
    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        """Do it once; returns when it is over, apart from its aftermath. `choice` draws the victim."""


class Strikes:
    """Has faults strike a deployment, each in a thread of its own, until it is left; a context manager.

    Leaving waits for the strikes that are on, and raises what one of them raised.

    Args:
        seed: of the moments and the victims; the same seed draws the same ones.
        seconds: how long it will last: faults that would strike later for the first time are spread over it.

    Attributes:
        windows: of the strikes that are over, those first that ended first.
    """

    def __init__(self, deployment: Deployment, faults: Sequence[Fault], seed: int, seconds: float) -> None:
        self._deployment = deployment
        self._faults = faults
        self._stopped = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(fault, _draws(seed, number, fault), LATEST_FIRST * seconds * (number + 1) / len(faults)),
                name=fault.name,
            )
            for number, fault in enumerate(faults)
        ]
        self.windows: list[FaultWindow] = []
        self.hurting: set[str] = {fault.name for fault in faults if fault.hurts}

    def __enter__(self) -> Strikes:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        if self._failures and error[1] is None:
            raise self._failures[0]

    @property
    def unstruck(self) -> list[str]:
        """Names of the faults that did not strike: a run without them proves nothing of them."""
        struck = {window.name for window in self.windows}
        return [fault.name for fault in self._faults if fault.name not in struck]

    def _run(self, fault: Fault, choice: random.Random, latest_first_s: float) -> None:
        pause_s, struck = min(fault.first_s, latest_first_s), 0
        try:
            while struck != fault.most and not self._stopped.wait(pause_s * choice.uniform(1 - JITTER, 1 + JITTER)):
                began = time.monotonic()
                fault.strike(self._deployment, choice)
                ended = time.monotonic() + fault.aftermath_s
                breaks = fault.breaks and self._deployment.is_direct
                self.windows.append(FaultWindow(fault.name, began, ended, breaks=breaks))
                pause_s, struck = fault.every_s, struck + 1
        except BaseException as error:
            self._failures.append(error)


def _draws(seed: int, number: int, fault: Fault) -> random.Random:
    return random.Random(zlib.crc32(f"{seed} {number} {fault.name}".encode()))
