"""A program of a deployment: started, ended in any way, started again under the same address."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.family import descendants, kill_all, none_alive
from tests.service.processes import Running, eventually, running

LAST_WORDS = 1500  # characters
LINES_OF_A_FAULT = 12
_WORDS_OF_A_FAULT = ("Traceback (most recent call last)", "[emerg]", "[crit]")


class Program:
    """One command and its processes.

    Args:
        name: for messages.
        command: program and arguments.
        folder: where its output goes, in one folder a life.
        environ: variables added to the tester's own.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], folder: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._command = command
        self._folder = folder
        self._environ = environ
        self._lives: list[Running] = []
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count()

    def start(self) -> None:
        """Start it; the life before must have ended."""
        folder = self._folder / f"{self.name}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        self._lives.append(self._stack.enter_context(running(self._command, folder, self._environ)))

    @property
    def life(self) -> Running:
        """The process that runs, or ran last."""
        return self._lives[-1]

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        return self.life.pid

    def children(self) -> list[int]:
        """Ids of the processes that it started."""
        return descendants(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, if it still runs."""
        if self.life.process.poll() is None:
            os.kill(self.pid, number)

    def start_again(self, number: signal.Signals, patience_s: float = 20.0) -> None:
        """End it by a signal, wait until it and its children have ended by that, and start it anew."""
        below = self.children()
        self.send(number)
        self.life.wait(patience_s)
        eventually(lambda: none_alive(below), f"the children of {self.name} end after it", patience_s)
        self._stack.close()
        self.start()

    def end(self) -> None:
        """Kill it and all below it."""
        if self._lives:
            below = self.children()
            self._stack.close()
            kill_all(below)

    def last_words(self) -> str:
        """The end of what it said."""
        return (self.life.out + self.life.err)[-LAST_WORDS:]

    def complaints(self) -> list[str]:
        """What of its output tells of a fault of ours: where it began first, and how often it came."""
        lines = [line for life in self._lives for line in (life.out + life.err).splitlines()]
        places = [number for number, line in enumerate(lines) if any(words in line for words in _WORDS_OF_A_FAULT)]
        if not places:
            return []
        first = " / ".join(lines[places[0] : places[0] + LINES_OF_A_FAULT])[-LAST_WORDS:]
        return [f"{self.name} complains, {len(places)} times: {first}"]
