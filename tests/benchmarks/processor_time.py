"""Processor time of a server's processes, by what they do in it; Linux only."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

OTHERS = "others"

Roles = Sequence[tuple[str, str]]
"""What a process's command line holds, and what it is called then; the first that fits holds."""


class SharesError(RuntimeError):
    """The processes of a server do not have the scheduler weight of one."""


@dataclass(frozen=True)
class Process:
    """What the system tells of a process.

    Attributes:
        seconds: of processor time, in user and in system mode, all threads together.
        nice: its weight.
    """

    parent: int
    session: int
    seconds: float
    nice: int
    command: str


def processes() -> dict[int, Process]:
    """All processes by their id."""
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            seconds = (int(fields[11]) + int(fields[12])) * tick_s
            found[int(folder.name)] = Process(int(fields[1]), int(fields[3]), seconds, int(fields[16]), command)
    return found


def family(root: int) -> dict[int, Process]:
    """A process with its children and theirs, and whoever else is of its session.

    Raises:
        SharesError: one of them is in another session or has another nice value, so that the scheduler would give
            this server more or less of the machine than its rivals.
    """
    known = processes()
    members = {root}
    while True:
        more = {
            pid
            for pid, process in known.items()
            if pid not in members and (process.parent in members or process.session == root)
        }
        if not more:
            break
        members |= more
    found = {pid: known[pid] for pid in members if pid in known}
    for pid, process in found.items():
        if process.session != root or process.nice != os.getpriority(os.PRIO_PROCESS, 0):
            raise SharesError(
                f"process {pid}, {process.command!r}, is in session {process.session} with nice value {process.nice}; "
                f"expected {root} and this process's own"
            )
    return found


def seconds_by_role(root: int, roles: Roles) -> dict[str, float]:
    """Processor time of a server's processes so far, added up by role; raises as `family`."""
    total: dict[str, float] = defaultdict(float)
    for process in family(root).values():
        total[next((role for text, role in roles if text in process.command), OTHERS)] += process.seconds
    return total
