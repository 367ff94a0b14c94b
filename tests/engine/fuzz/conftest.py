"""The worker that all campaigns of a process ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.fuzz.campaign import Fuzzer
from tests.engine.fuzz.process import Worker


@pytest.fixture(scope="session")
def fuzz_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files lie that are read."""
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="session")
def worker(fuzz_folder: Path) -> Iterator[Worker]:
    """The guarded process."""
    asked = Worker(fuzz_folder)
    yield asked
    asked.close()


@pytest.fixture
def fuzzer(worker: Worker, fuzz_folder: Path) -> Fuzzer:
    """Draws files and lets the worker read them."""
    return Fuzzer(worker, fuzz_folder)
