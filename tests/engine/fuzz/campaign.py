"""A campaign: one kind of file, changed again and again until its share of the time is over."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies

from tests.engine.fuzz.edits import Edit, several
from tests.engine.fuzz.process import Worker

SECONDS = float(os.environ.get("BEAGLE_FUZZ_SECONDS", "60"))
CAMPAIGNS = 6
"""How many campaigns share the time."""


class _TimeIsOver(BaseException):
    """Ends hypothesis's drawing."""


class Fuzzer:
    """Draws files and lets the worker read them.

    Args:
        worker: reads them.
        folder: the worker's.

    Attributes:
        counts: the outcomes by reader.
    """

    def __init__(self, worker: Worker, folder: Path) -> None:
        self._worker = worker
        self._folder = folder
        self.counts: Counter[str] = Counter()

    def run(
        self,
        names: Sequence[str],
        kinds: dict[str, Any],
        make: Callable[[str, list[Edit]], bytes],
        readers: Sequence[str],
        ending: str,
    ) -> None:
        """Reads changed files for a share of the time.

        Args:
            names: of the files that are changed.
            kinds: of edits.
            make: the changed file, of a name and edits.
            readers: each reads each of the files.
            ending: what the file is called after the first dot.

        Raises:
            AssertionError: a reader answered otherwise than it should; says how, and with which edits.
        """
        until = time.monotonic() + SECONDS / CAMPAIGNS

        @hypothesis.given(strategies.sampled_from(sorted(names)), several(kinds))
        @hypothesis.settings(
            max_examples=10_000_000,
            derandomize="BEAGLE_FUZZ_SEED" not in os.environ,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        def example(name: str, edits: list[Edit]) -> None:
            if time.monotonic() > until:
                raise _TimeIsOver
            self.read(make(name, edits), readers, ending, f"{name}: {edits}")

        example = hypothesis.seed(int(os.environ.get("BEAGLE_FUZZ_SEED", "0")))(example)
        with contextlib.suppress(_TimeIsOver):
            example()

    def read(self, content: bytes, readers: Sequence[str], ending: str, what: str) -> None:
        """Lets some readers read one file; raises AssertionError where an answer is wrong."""
        path = self._folder / f"fuzzed.{ending}"
        path.write_bytes(content)
        for reader in readers:
            answer = self._worker.ask(reader, path)
            self.counts[f"{reader} {answer.outcome}"] += 1
            if answer.outcome == "wrong":
                kept = self._keep(content, reader, ending, f"{what}\n{answer.said}")
                if not kept:
                    raise AssertionError(f"{reader} of {what}\n{answer.said}")

    def _keep(self, content: bytes, reader: str, ending: str, said: str) -> bool:
        """Keeps a file that failed where the environment says so; the campaign then goes on."""
        folder = os.environ.get("BEAGLE_FUZZ_KEEP")
        if folder is None:
            return False
        number = sum(1 for _ in Path(folder).glob("*.txt"))
        (Path(folder) / f"{number:04}.{reader}.{ending}").write_bytes(content)
        (Path(folder) / f"{number:04}.{reader}.txt").write_text(said, errors="replace")
        return True
