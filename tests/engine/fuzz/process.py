"""The worker as those who ask it see it: a question, an answer, also where it dies of the question."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

WAITING = 60.0
"""Seconds after which a reader that computes nothing is taken to wait for ever."""
_REPOSITORY = Path(__file__).resolve().parents[3]


class Answer(NamedTuple):
    """What became of a file: "read", "refused" or "wrong"; what was said; how long it was computed."""

    outcome: str
    said: str
    seconds: float


class Worker:
    """A process that reads files of one folder; started when it is asked, and again when it died.

    Args:
        folder: the files lie in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  as long as the worker

    def ask(self, reader: str, path: Path) -> Answer:
        """Lets a reader read a file."""
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(f"{reader}\t{path}\n")
        process.stdin.flush()
        line = self._line(process)
        if line:
            return Answer(*json.loads(line))
        return self._died(process)

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        self._errors.seek(0)
        self._errors.truncate()
        limits = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.fuzz.worker", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=_REPOSITORY,
            env={**os.environ, **limits},
        )
        if self._line(self._process) != "ready\n":
            raise RuntimeError(f"the fuzz worker does not start: {self._died(self._process).said}")
        return self._process

    def _line(self, process: subprocess.Popen[str]) -> str:
        """The worker's next line; empty where there comes none."""
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], WAITING)
        return process.stdout.readline() if ready else ""

    def _died(self, process: subprocess.Popen[str]) -> Answer:
        try:
            process.wait(1.0)  # the pipe is closed before the process has ended
            is_waiting = False
        except subprocess.TimeoutExpired:
            is_waiting = True
        self.close()
        self._errors.seek(0)
        said = self._errors.read()[-4000:]
        if is_waiting:
            return Answer("wrong", f"no answer after {WAITING} s\n{said}", WAITING)
        if process.returncode == -signal.SIGPROF:
            return Answer("wrong", f"it computes for more than 5 s\n{said}", 5.0)
        return Answer("wrong", f"the process ended with {process.returncode}\n{said}", 0.0)
