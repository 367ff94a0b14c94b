"""The contestant's side of the pipe: a process that loads one engine, and then does what it is asked to.

A request is a line of JSON `{"method": name, "arguments": {…}}`, its answer a line `{"result": …}`, `{"error": text}`,
or `{"unavailable": text}` where this machine or this engine cannot take part. The first request goes to the program's
`prepare`, all others to the methods of what `prepare` returned. The end of the input ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_TRIALS = 5


class UnavailableError(Exception):
    """The engine is not installed, or cannot do what was asked for."""


class Prepared:
    """An engine with something to run.

    Attributes:
        notes: lines worth a reader's attention: what was chosen, what was fallen back to.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def run(self) -> Any:
        """Do once what is measured."""
        raise NotImplementedError

    def describe(self) -> list[str]:
        """The notes."""
        return self.notes

    def measure(self, times: int, warm_up: bool = True) -> list[float]:
        """Seconds of each of so many runs.

        Args:
            times: how many.
            warm_up: first run once uncounted: another contestant's data may fill the caches.
        """
        if warm_up:
            self.run()
        seconds = []
        for _ in range(times):
            start = time.perf_counter()
            self.run()
            seconds.append(time.perf_counter() - start)
        return seconds

    def outputs(self, file: str) -> None:
        """Write what a run returns as a `.npy` file, float32."""
        np.save(file, np.asarray(self.run(), np.float32))

    def memory(self) -> float:
        """Resident memory of this process, MB."""
        return resident_megabytes()


def resident_megabytes() -> float:
    """Resident memory of this process, MB; Linux only."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def fastest(alternatives: Mapping[str, Callable[[], Any]]) -> str:
    """The name of the call that is fastest on this machine; those that fail are out of it.

    A peer is measured with the settings that suit it best, as somebody would run it who knows it well.
    """
    best: dict[str, float] = {}
    for name, call in alternatives.items():
        try:
            call()
            for _ in range(_TRIALS):
                start = time.perf_counter()
                call()
                best[name] = min(best.get(name, float("inf")), time.perf_counter() - start)
        except Exception as error:
            print(f"{name} cannot be used: {error}", file=sys.stderr)
    if not best:
        raise UnavailableError(f"none of {', '.join(alternatives)} works")
    return min(best, key=best.__getitem__)


def answer(prepare: Callable[..., Prepared]) -> None:
    """Answer requests until the input ends; `prepare` gets the first one's arguments."""
    # Libraries print to standard output as they like; what they say goes to standard error.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    prepared: Prepared | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if prepared is None:
                prepared = prepare(**request["arguments"])
                reply: dict[str, Any] = {"result": None}
            else:
                reply = {"result": getattr(prepared, request["method"])(**request["arguments"])}
        except (UnavailableError, ImportError) as error:
            reply = {"unavailable": str(error)}
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
