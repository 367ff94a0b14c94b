"""`beagle serve` with all of its processes in one session; arguments name another module for the workers.

Linux shares processors out among sessions first (`sched_autogroup_enabled`), and the supervisor gives each child one of
its own: several shares, where a peer's processes have one together. Here all contestants have one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from service.serve import serve
from service.settings import Settings
from service.telemetry import configure_logging


class OneSessionPopen(subprocess.Popen[Any]):
    """Where a session of its own was asked for, the process gets a process group alone."""

    def __init__(self, *arguments: Any, start_new_session: bool = False, **options: Any) -> None:
        super().__init__(*arguments, process_group=0 if start_new_session else None, **options)


def main(worker: Sequence[str] = ()) -> int:
    """Serve until SIGTERM, with settings from the environment; returns the exit status.

    Args:
        worker: module of the workers, with its arguments; empty: the service's own.
    """
    subprocess.Popen = OneSessionPopen  # type: ignore[misc]
    configure_logging("warning", "text")
    return serve(Settings.load(os.environ), [sys.executable, "-m", *worker] if worker else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
