"""How long a worker takes to get ready, and how much memory it needs then and later."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from service.settings import DEFAULT_MODEL_REPOSITORY
from tests.benchmarks.contestant import Entry, installed, start_all
from tests.benchmarks.inference import OURS, PEERS, PRECISIONS, make_files, name_of, peer_entries
from tests.benchmarks.networks.files import folder_for
from tests.benchmarks.networks.keras_networks import APPLICATIONS
from tests.benchmarks.networks.shapes import IMAGE_SIDE
from tests.benchmarks.networks.weights import images
from tests.benchmarks.rounds import Figures, alternate, median, print_table, spread
from tests.service.processes import ROOT

BATCHES = [1, 8]
DIGITS_BATCHES = [1, 8, 32]
SMALL_RUNS, LARGE_RUNS = 20_000, 400
SAMPLES = 40
IMPORT_BUDGET_S, READY_BUDGET_S, MEMORY_BUDGET_MB, DRIFT_BUDGET_MB = 0.35, 3, 400, 5

_DIGITS = DEFAULT_MODEL_REPOSITORY / "digits" / "1" / "model.keras"
_WORKER = "tests.benchmarks.contestants.beagle_startup"
_IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def import_seconds(module: str) -> Figures:
    """Seconds that an import takes in a fresh process."""
    command = [sys.executable, "-c", _IMPORT.format(module)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {"s": float(ran.stdout)}


def worker(name: str, model: Path, batches: Sequence[int], precision: str) -> Entry:
    """A worker process of ours."""
    calibration = str(model.with_suffix(".calibration.json")) if precision == "int8" else None
    settings = {"model": str(model), "batches": batches, "precision": precision, "calibration": calibration}
    return Entry(name, _WORKER, settings)


def become_ready(entry: Entry) -> Figures:
    """Start a contestant: seconds until it has run once, and its memory then; none where it cannot take part."""
    with contextlib.ExitStack() as stack:
        started = start_all(stack, [entry])
        if not started:
            return {}
        contestant = started[entry.name]
        parts = contestant.ask("seconds") if entry.program == _WORKER else {}
        return {"s": contestant.ready_s, "MB": contestant.ask("memory"), **parts}


def drift(entry: Entry, runs: int) -> list[object]:
    """The row of a process that makes so many runs of changing sizes; memory is first looked at after a tenth."""
    with contextlib.ExitStack() as stack:
        memory = start_all(stack, [entry])[entry.name].ask("memory_over", runs=runs, samples=SAMPLES)
    settled = memory[SAMPLES // 10 :]
    change = max(abs(settled[0] - value) for value in settled)
    return [entry.name, runs, settled[0], f"{min(settled):.1f} to {max(settled):.1f}", change, f"<= {DRIFT_BUDGET_MB}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of starts (default 5)")
    parser.add_argument("--models", nargs="+", choices=APPLICATIONS, default=["ResNet50"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--files", type=Path, help="folder in which the networks' files are kept (default: none is)")
    options = parser.parse_args(arguments)
    peers = installed(options.peers)
    print_imports(options.rounds, ["engine", "engine.models", *peers])
    with folder_for(options.files) as folder:
        for model in options.models:
            make_files(model, folder, options.precisions, peers)
            print_readiness(options.rounds, model, folder, options.precisions, peers)
        large = [
            drift(
                worker(f"{model}, batches up to {max(BATCHES)}", folder / f"{model}.keras", BATCHES, "float32"),
                LARGE_RUNS,
            )
            for model in options.models
        ]
    small = drift(
        worker(f"digits, batches up to {max(DIGITS_BATCHES)}", _DIGITS, DIGITS_BATCHES, "float32"), SMALL_RUNS
    )
    header = ("", "runs", "MB after a tenth", "lowest, highest later", "changed by MB", "budget")
    print_table("Resident memory over runs of changing sizes", header, [small, *large])


def print_imports(rounds: int, modules: Sequence[str]) -> None:
    """Print how long imports take."""
    measured = alternate(rounds, {module: lambda name=module: import_seconds(name) for module in modules})  # type: ignore[misc]
    rows = [
        (
            f"import {name}",
            median(figures, "s"),
            spread(figures, "s"),
            f"<= {IMPORT_BUDGET_S}" if name == "engine" else "",
        )
        for name, figures in measured.items()
    ]
    print_table(f"Imports in fresh processes: medians of {rounds} rounds", ("", "s", "lowest, highest", "budget"), rows)


def print_readiness(rounds: int, model: str, folder: Path, precisions: Sequence[str], peers: Sequence[str]) -> None:
    """Print how long it takes from the start of a process to the first answer, and its memory then."""
    batch = folder / f"batch-{max(BATCHES)}.npy"
    np.save(batch, images(max(BATCHES), IMAGE_SIDE, 3))
    listed = [worker(name_of(OURS, one), folder / f"{model}.keras", BATCHES, one) for one in precisions]
    listed += peer_entries(model, folder, batch, precisions, peers)
    measured = alternate(rounds, {entry.name: lambda one=entry: become_ready(one) for entry in listed})  # type: ignore[misc]
    rows = []
    for entry in listed:
        figures = [one for one in measured[entry.name] if one]
        if not figures:
            continue
        ours = entry.program == _WORKER
        parts = [f"{name} {median(figures, name):.2f}" for name in figures[0] if name not in ("s", "MB")]
        rows.append(
            (
                entry.name,
                median(figures, "s"),
                spread(figures, "s"),
                f"<= {READY_BUDGET_S}" if ours else "",
                median(figures, "MB"),
                f"<= {MEMORY_BUDGET_MB}" if ours else "",
                ", ".join(parts),
            )
        )
    title = f"{model}, batches up to {max(BATCHES)}, from the start of a process to the first batch's answer"
    print_table(title, ("", "s", "lowest, highest", "budget", "MB", "budget", "s of which"), rows)
