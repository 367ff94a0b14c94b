"""A worker process that writes down how many images it computed; `--supervise` runs several under the supervisor.

Without a model repository with files of models it serves the marked model of the tests.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service import serve
from service.classifier import EngineLoader, Session
from service.repository import ServedModel
from service.settings import Settings
from service.telemetry import configure_logging
from service.worker import main
from tests.service import marked_worker

COUNTS = "COUNTED_WORKER_FOLDER"  # the variable with the folder for one file a process


class CountedSession:
    """Passes on to a session, and adds a byte a computed image to this process's file."""

    def __init__(self, session: Session) -> None:
        self._session = session
        # Unbuffered: what a killed process had counted must be there.
        self._file = open(Path(os.environ[COUNTS]) / str(os.getpid()), "ab", buffering=0)  # noqa: SIM115

    def run(self, x: NDArray[np.float32]) -> Any:
        y = self._session.run(x)
        self._file.write(b"." * len(x))
        return y


def load(served: ServedModel) -> CountedSession:
    """With the engine where the model has a file, else the marked model."""
    if served.model_path.exists():
        settings = Settings.load(os.environ)
        return CountedSession(EngineLoader(settings.threads, settings.workers)(served))
    return CountedSession(marked_worker.load(served))


def images_by_process(folder: Path) -> dict[int, int]:
    """Computed images by process id."""
    return {int(file.name): file.stat().st_size for file in folder.iterdir()}


if __name__ == "__main__":
    if "--supervise" in sys.argv:
        configure_logging("error", "text")
        this = [sys.executable, "-m", "tests.benchmarks.models.counted_worker"]
        sys.exit(serve.work(Settings.load(os.environ), this))
    sys.exit(main(load=load))
