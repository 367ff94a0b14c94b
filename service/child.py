"""One process under a supervisor: how it is started, says that it is ready, and may start again."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

READY_FD = "BEAGLE_READY_FD"  # the variable that tells a child where to report that it is ready
QUICK_S = 5.0  # a life shorter than this counts as a failure to start, and slows restarts down
FIRST_BACK_OFF_S = 0.1
LONGEST_BACK_OFF_S = 10.0
LONGEST_BACK_OFF_WHEN_READY_S = 1.0  # of one that was ready before it died: what it was given to do may be to blame
ORPHANED = 1

# What a process brings upon itself; other signals come from outside (SIGKILL from the kernel short of memory, too).
_OWN_FAULTS = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP}
)
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class ChildSpec:
    """What to run, and how to end it.

    Attributes:
        name: for the log, unique.
        command: program and arguments.
        environ: variables added to the supervisor's own.
        pass_fds: file descriptors that it inherits under the same numbers.
        is_up: at the first start, the next child waits until this says True; None does not wait.
        reports_ready: the child writes a line to the descriptor in BEAGLE_READY_FD when it is ready (see
            `report_ready`); dying before counts as a failure to start, however long it took.
        hopeless: exit statuses after which starting it again would end in the same way.
        stop_order: children of a lower number end before those of a higher one are told to.
        grace_s: seconds from SIGTERM to SIGKILL.
        orphan_signal: what it gets when the supervisor itself is killed (Linux only).
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    pass_fds: Sequence[int] = ()
    is_up: Callable[[], bool] | None = None
    reports_ready: bool = False
    hopeless: frozenset[int] = frozenset()
    stop_order: int = 0
    grace_s: float = 10.0
    orphan_signal: signal.Signals = signal.SIGTERM


def report_ready(line: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """In a child: tell the supervisor, where there is one, that this process is ready, and who it is."""
    fd = environ.pop(READY_FD, None)
    if fd is not None:
        with open(int(fd), "w", encoding="utf-8") as pipe:
            pipe.write(f"{line}\n")


def crashed(status: int) -> bool:
    """Whether a process ended by itself and was not ended from outside; `status` is a return code of `subprocess`."""
    return status >= 0 or -status in _OWN_FAULTS


class Child:
    """A spec's process of the moment, and the history that decides on its restart."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_at: float | None = None  # when to start it again; None where it runs or rests
        self.kill_at: float | None = None
        self.ready_pipe: int | None = None
        self.ready_line = ""
        self.quick_deaths = 0
        self.failed_starts = 0

    @property
    def alive(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        """Start the process; with a pipe for its report, where it makes one."""
        spec = self.spec
        self.ready_line = ""  # first of all: where the start fails it must not speak for this life
        environ = {**os.environ, **spec.environ}
        pass_fds = list(spec.pass_fds)
        write_end = None
        if spec.reports_ready:
            self.ready_pipe, write_end = os.pipe()
            os.set_blocking(self.ready_pipe, False)
            environ[READY_FD] = str(write_end)
            pass_fds.append(write_end)
        parent = os.getpid()

        def before_exec() -> None:
            # Safe here: the supervisor has one thread alone.
            if _libc is not None:
                _libc.prctl(_SET_PARENT_DEATH_SIGNAL, int(spec.orphan_signal))
                if os.getppid() != parent:
                    os._exit(ORPHANED)

        try:
            self.process = subprocess.Popen(
                list(spec.command),
                env=environ,
                pass_fds=pass_fds,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C reaches the supervisor alone, which then drains
                preexec_fn=before_exec,
            )
        finally:
            if write_end is not None:
                os.close(write_end)
        self.started_at = time.monotonic()
        self.start_at = self.kill_at = None

    def kill(self) -> None:
        """Kill the process and all of its process group, which is its own."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def read_report(self) -> None:
        """Take in what came through the pipe of the report."""
        assert self.ready_pipe is not None
        self.ready_line += os.read(self.ready_pipe, 4096).decode("utf-8", "replace")

    @property
    def reported(self) -> bool:
        return self.ready_line.endswith("\n")

    def ended(self, *, killed: bool) -> None:
        """Note that the process ended, killed from outside or by itself, and plan the next start."""
        now = time.monotonic()
        quick = now - self.started_at < QUICK_S
        failed = not self.reported if self.spec.reports_ready else quick
        self.failed_starts = self.failed_starts + 1 if failed else 0
        if failed or (quick and not (killed and self.reported)):
            self.quick_deaths += 1
        else:
            self.quick_deaths = 0
        back_off_s = FIRST_BACK_OFF_S * 2 ** (self.quick_deaths - 1) if self.quick_deaths else 0.0
        longest_s = LONGEST_BACK_OFF_WHEN_READY_S if self.reported else LONGEST_BACK_OFF_S
        self.process, self.start_at = None, now + min(back_off_s, longest_s)
