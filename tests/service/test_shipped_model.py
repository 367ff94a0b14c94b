"""The model that is shipped: every drawing right through a real `beagle serve`, small, and good on MNIST's test set."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests

from engine.datasets import mnist
from service.classifier import ENGINE_THREADS, Classifier, EngineLoader
from service.repository import ModelRepository
from service.settings import DEFAULT_MODEL_REPOSITORY
from tests.service.processes import ROOT, eventually, python, running

DRAWINGS = ROOT / "tests/data/drawings"
MNIST = Path(os.environ.get("BEAGLE_TEST_DATA", ROOT.parent / "shared/data")) / "mnist"
LARGEST_ARCHIVE_BYTES = 1_000_000
LEAST_ACCURACY = 0.994
TIMEOUT_S = 30.0
ROWS = 500


@contextlib.contextmanager
def beagle_serve(folder: Path) -> Iterator[str]:
    """The URL of a service as a user starts it, but for the port."""
    with running(python("-m", "service.cli", "serve", "--port", "0"), folder) as process:
        try:
            yield eventually(lambda: re.search(r"ready on (http://\S+)", process.out), "the service is ready", 60)[1]
        finally:
            if process.process.poll() is None:
                os.kill(process.pid, signal.SIGTERM)
                process.wait()


def test_every_drawing_is_read_right_over_http(tmp_path: Path) -> None:
    drawings = sorted(path for path in DRAWINGS.iterdir() if re.match(r"\d_", path.name))
    assert {path.name[0] for path in drawings} == set("0123456789")
    assert len(drawings) >= 80

    def best(path: Path) -> str:
        response = requests.post(f"{url}/predict", files={"image": path.read_bytes()}, timeout=TIMEOUT_S)
        assert response.status_code == 200, response.text
        return str(response.json()["predictions"][0]["label"])

    with beagle_serve(tmp_path) as url, ThreadPoolExecutor(4) as pool:
        read = dict(zip(drawings, pool.map(best, drawings), strict=True))
    assert {path.name: label for path, label in read.items() if label != path.name[0]} == {}


def test_the_archive_is_at_most_one_megabyte() -> None:
    served = ModelRepository(DEFAULT_MODEL_REPOSITORY).get("digits")
    assert served.model_path.stat().st_size <= LARGEST_ARCHIVE_BYTES


def test_it_knows_at_least_994_in_1000_of_mnists_test_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    if not MNIST.is_dir():
        pytest.skip(f"there is no folder {MNIST} (BEAGLE_TEST_DATA names the folder around it)")
    _, (images, digits) = mnist.load_data(MNIST)
    assert len(images) == len(digits) == 10_000
    served = ModelRepository(DEFAULT_MODEL_REPOSITORY).get("digits")
    monkeypatch.setenv(ENGINE_THREADS, "1")  # the loader sets it anew; so it is put back in the end
    classifier = Classifier(served, EngineLoader())
    batches = [
        classifier.probabilities(classifier.preprocess(images[first : first + ROWS, ..., None]))
        for first in range(0, len(images), ROWS)
    ]
    labels = np.array([int(label) for label in served.labels])
    right = labels[np.concatenate(batches).argmax(axis=1)] == digits
    assert right.mean() >= LEAST_ACCURACY
