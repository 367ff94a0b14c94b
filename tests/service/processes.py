"""What tests with real processes share: starting them, waiting for what they do, ending them in any case."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0

Result = TypeVar("Result")


def eventually(condition: Callable[[], Result], what: str, patience_s: float = PATIENCE_S) -> Result:
    """The first true value that `condition` returns; fails the test where none comes in time."""
    give_up = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < give_up, f"not within {patience_s:g} s: {what}"
        time.sleep(0.01)


class Running:
    """A started program whose output goes to files."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self._folder = folder

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        return (self._folder / f"{self.pid}.out").read_text(errors="replace")

    @property
    def err(self) -> str:
        return (self._folder / f"{self.pid}.err").read_text(errors="replace")

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Its exit status, once it has ended by itself."""
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            said = f"it said:\n{self.out}{self.err}"
            raise AssertionError(f"still running after {patience_s:g} s; {said}") from None

    def terminate(self, patience_s: float = PATIENCE_S) -> int:
        """Its exit status after SIGTERM."""
        self.process.terminate()
        return self.wait(patience_s)


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    folder: Path,
    environ: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[Running]:
    """Run a program from the root of the repository; at the end it and its whole process group are killed."""
    out, err = folder / "starting.out", folder / "starting.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**clean_environ(), **(environ or {})},
            pass_fds=pass_fds,
            stdout=stdout,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    out.rename(folder / f"{process.pid}.out")
    err.rename(folder / f"{process.pid}.err")
    try:
        yield Running(process, folder)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def clean_environ() -> dict[str, str]:
    """The environment without settings of Beagle that the tester's shell may hold."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BEAGLE_") and name != "REDIS_URL"}


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def python(*arguments: str | Path) -> list[str | Path]:
    """Command line of this Python."""
    return [sys.executable, *arguments]


def free_port() -> int:
    """A TCP port of loopback that nothing listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def children(pid: int) -> dict[int, str]:
    """Command lines of the processes that a process started itself, by their ids; Linux only."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid and alive(int(folder.name)):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[int(folder.name)] = command
    return found
