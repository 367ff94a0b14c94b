"""The benchmark's side of the pipe: starts a contestant's process, and asks it for what `answering` offers."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.threads import available_processors
from tests.benchmarks.contestants.answering import UnavailableError
from tests.benchmarks.rounds import Figures
from tests.service.processes import ROOT, clean_environ

TORCH_ENVIRON = {"GOMP_SPINCOUNT": "1000"}
"""PyTorch's threads else spin for long, which is as fast on idle processors, and ten times slower on busy ones."""

_RUNS_AT_MOST = 50
_LONG_S = 1.0  # a run so long is not measurably slower for finding other data in the caches


class ContestantError(RuntimeError):
    """A contestant failed, or gave other outputs than it should."""


@dataclass(frozen=True)
class Entry:
    """A contestant of a benchmark.

    Attributes:
        name: what the table calls it.
        program: the module that is run.
        settings: arguments of its `prepare`.
        environ: added to its environment.
    """

    name: str
    program: str
    settings: Mapping[str, Any]
    environ: Mapping[str, str] = field(default_factory=dict)


class Contestant:
    """A started contestant.

    Attributes:
        ready_s: seconds from its start until it had run once.

    Raises:
        UnavailableError: it cannot take part.
        ContestantError: it failed.
    """

    def __init__(self, entry: Entry, process: subprocess.Popen[str], log: Path) -> None:
        self.entry = entry
        self._process = process
        self._log = log
        begun = time.monotonic()
        self.ask("prepare", **entry.settings)
        [self._run_s] = self.ask("measure", times=1, warm_up=False)
        self.ready_s = time.monotonic() - begun
        if self._run_s < _LONG_S:
            [self._run_s] = self.ask("measure", times=1)

    def ask(self, method: str, **arguments: Any) -> Any:
        """The result of a method of the contestant's."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"method": method, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        reply = json.loads(line) if line else {"error": f"its process ended with {self._process.wait()}"}
        if "unavailable" in reply:
            raise UnavailableError(reply["unavailable"])
        if "error" in reply:
            said = self._log.read_text(errors="replace")[-3000:]
            raise ContestantError(f"{self.entry.name}, {method}: {reply['error']}\n{said}")
        return reply["result"]

    def block(self, seconds: float) -> Figures:
        """The median of runs that take about so many seconds together, one at least: `{"ms": …}`."""
        times = max(1, min(_RUNS_AT_MOST, round(seconds / max(self._run_s, 1e-6))))
        measured = self.ask("measure", times=times, warm_up=self._run_s < _LONG_S)
        return {"ms": float(np.median(measured)) * 1000}

    def outputs(self) -> NDArray[np.float32]:
        """What one run returns."""
        with tempfile.TemporaryDirectory(prefix="b-") as folder:
            file = Path(folder) / "outputs.npy"
            self.ask("outputs", file=str(file))
            outputs: NDArray[np.float32] = np.load(file)
            return outputs


@contextlib.contextmanager
def started(entry: Entry) -> Iterator[Contestant]:
    """Start a contestant on all processors that this process may use; it ends with the block."""
    threads = str(available_processors())
    environ = {
        **clean_environ(),
        "OMP_NUM_THREADS": threads,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **entry.environ,
    }
    with tempfile.NamedTemporaryFile("wb", prefix="b-", suffix=".log") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", entry.program],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield Contestant(entry, process, Path(log.name))
        finally:
            process.kill()
            process.communicate()


def start_all(stack: contextlib.ExitStack, entries: Sequence[Entry]) -> dict[str, Contestant]:
    """Start the contestants one after the other, by name; of those that cannot take part it is printed why."""
    contestants = {}
    for entry in entries:
        try:
            contestant = stack.enter_context(started(entry))
        except UnavailableError as error:
            print(f"{entry.name} takes no part: {error}")
            continue
        except ContestantError as error:
            print(f"{entry.name} takes no part, since it failed: {error}")
            continue
        for note in contestant.ask("describe"):
            print(f"{entry.name}: {note}")
        contestants[entry.name] = contestant
    return contestants


def difference(outputs: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference, as a share of the largest expected output."""
    if outputs.shape != expected.shape:
        raise ContestantError(f"expected outputs of shape {expected.shape}, got {outputs.shape}")
    return float(np.abs(outputs - expected).max() / np.abs(expected).max())


def installed(peers: Sequence[str]) -> list[str]:
    """Those of the libraries that can be imported here; of the others a line is printed."""
    found = [peer for peer in peers if importlib.util.find_spec(peer) is not None]
    for peer in peers:
        if peer not in found:
            print(f"{peer} is not installed, and takes no part")
    return found
