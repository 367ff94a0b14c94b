"""The processes that a process started, and those that they started; Linux only."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests.service.processes import alive


def descendants(pid: int) -> list[int]:
    """Ids of the living processes below this one, parents before their children."""
    children = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it may have ended meanwhile
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    children[int(fields[1])].append(int(folder.name))
    found = [pid]
    for parent in found:
        found += children[parent]
    return found[1:]


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal; False where the process is gone, as another fault may have it."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def kill_all(pids: Iterable[int]) -> None:
    """Kill those of the processes that live, stopped ones included."""
    for pid in pids:
        send(pid, signal.SIGKILL)


def none_alive(pids: Iterable[int]) -> bool:
    """Whether all of them have ended."""
    return not any(map(alive, pids))
