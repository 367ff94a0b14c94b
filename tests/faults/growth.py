"""What processes hold of the machine, before and after: memory, threads, file descriptors. Linux only."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

SETTLED_WITHIN_S = 4.0
LOOK_EVERY_S = 0.1
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Of one process; `began` tells it from a later one with the same id."""

    began: int
    resident_bytes: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """As it is now; OSError where there is no such process."""
        folder = Path("/proc") / str(pid)
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        return cls(int(fields[19]), int(fields[21]) * _PAGE, int(fields[17]), len(os.listdir(folder / "fd")))


@dataclass(frozen=True)
class Allowance:
    """How much more than before is no growth.

    Attributes:
        resident_bytes: an allocator keeps what it had once.
        threads: pools start theirs when they are first needed.
        descriptors: kept-alive connections among them.
    """

    resident_bytes: int = 32 * 2**20
    threads: int = 4
    descriptors: int = 24

    def excess(self, before: Usage, after: Usage) -> list[str]:
        """What grew by more, in words."""
        found = []
        for what in ("resident_bytes", "threads", "descriptors"):
            old, new = getattr(before, what), getattr(after, what)
            if new - old > getattr(self, what):
                found.append(f"{what} grew from {old} to {new}")
        return found


def usages(pids: Iterable[int]) -> dict[int, Usage]:
    """Of those of the processes that live."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            found[pid] = Usage.of(pid)
    return found


def grown(before: dict[int, Usage], name: Callable[[int], str], allowance: Allowance) -> list[str]:
    """What grew in the processes that lived through it, once they have settled; empty where nothing did.

    Args:
        name: what to call a process.
    """
    give_up = time.monotonic() + SETTLED_WITHIN_S
    while True:
        now = usages(before)
        found = [
            f"{name(pid)} (process {pid}): {one}"
            for pid, after in now.items()
            if after.began == before[pid].began
            for one in allowance.excess(before[pid], after)
        ]
        if not found or time.monotonic() > give_up:
            return found
        time.sleep(LOOK_EVERY_S)
