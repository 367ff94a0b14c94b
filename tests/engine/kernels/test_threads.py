"""The engine's threads in processes of their own: they are settled when the library loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.kernels import running

ROOT = Path(__file__).resolve().parents[3]

REPORT = """
import os
import numpy
from threadpoolctl import threadpool_info
from engine.kernels.onednn.library import load, openmp_thread_count
library = load()
pools = {pool["user_api"]: pool["num_threads"] for pool in threadpool_info()}
print(openmp_thread_count(library), pools["blas"], os.environ.get("OMP_NUM_THREADS"), os.environ.get("GOMP_SPINCOUNT"))
"""


def _report(**settings: str) -> str:
    names = ("BEAGLE_THREADS", "OMP_NUM_THREADS", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in names} | settings
    outcome = subprocess.run(
        [sys.executable, "-c", REPORT], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.strip()


@pytest.mark.parametrize(
    ("settings", "threads"),
    [
        ({"BEAGLE_THREADS": "3"}, 3),
        ({"BEAGLE_THREADS": "1", "OMP_NUM_THREADS": "2"}, 1),
        ({"OMP_NUM_THREADS": "5"}, 5),
    ],
)
def test_kernels_take_the_threads_that_were_set_and_blas_takes_one(settings: dict[str, str], threads: int) -> None:
    assert running.normal(1).size == 1
    kept = settings.get("OMP_NUM_THREADS")
    assert _report(**settings) == f"{threads} 1 {kept} None"


def test_by_default_kernels_take_the_available_processors() -> None:
    from engine.threads import available_processors

    assert _report() == f"{available_processors()} 1 None None"
