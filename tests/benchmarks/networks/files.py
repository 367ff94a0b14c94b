"""The folder in which the networks' files lie, and the programs that write them, each in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.contestant import ContestantError
from tests.service.processes import ROOT


@contextlib.contextmanager
def folder_for(kept: Path | None) -> Iterator[Path]:
    """The given folder, made where it is not there; or one that is removed at the end."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="beagle-benchmark-") as name:
            yield Path(name)


def make(program: str, network: str, folder: Path, *, results: Sequence[str]) -> None:
    """Run a program of this package that writes a network's files, unless they are there."""
    if all((folder / file).exists() for file in results):
        return
    command = [sys.executable, "-m", f"tests.benchmarks.networks.{program}", network, str(folder)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise ContestantError(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stderr[-3000:]}")
