"""The whole way with the real engine: a model of its own is saved, served, asked over HTTP and on the command line."""

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
from PIL import Image

import engine
from engine import layers
from tests.service.processes import Running, eventually, python, running

LABELS = ("top left", "top right", "bottom left", "bottom right")
SERVING = f"""
[input]
width = 2
height = 2
color = "grey"
[preprocessing]
scale = 0.00392156862745098
[output]
labels = {list(LABELS)}
activation = "softmax"
"""
TIMEOUT_S = 30.0


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose logits are the pixels, so that its answer is the brightest of them."""
    folder = tmp_path_factory.mktemp("models")
    version = folder / "brightest" / "1"
    version.mkdir(parents=True)
    model = engine.Sequential([layers.Input((2, 2, 1)), layers.Flatten(), layers.Dense(4)])
    model.set_weights([np.eye(4, dtype=np.float32), np.zeros(4, np.float32)])
    model.save(version / "model.keras")
    (version / "serving.toml").write_text(SERVING)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for brightest in range(4):
        pixels = np.full(4, 50, np.uint8)
        pixels[brightest] = 250
        paths.append(folder / f"{brightest}.png")
        Image.fromarray(pixels.reshape(2, 2)).save(paths[-1])
    return paths


@contextlib.contextmanager
def beagle_serve(repository: Path, folder: Path) -> Iterator[tuple[Running, str]]:
    flags = ["--port", "0", "--web-processes", "1", "--workers", "2", "--model-repository", str(repository)]
    with running(python("-m", "service.cli", "serve", *flags), folder) as process:
        try:
            ready = eventually(lambda: re.search(r"ready on (http://\S+)", process.out), "the service is ready")
            yield process, ready[1]
        finally:
            if process.process.poll() is None:
                os.kill(process.pid, signal.SIGTERM)
                process.wait()


def test_images_are_classified_over_http_and_the_command_line_says_the_same(
    repository: Path, pictures: list[Path], tmp_path: Path
) -> None:
    def ask(path: Path) -> list[str]:
        response = requests.post(f"{url}/predict", files={"image": path.read_bytes()}, timeout=TIMEOUT_S)
        assert response.status_code == 200, response.text
        found = response.json()["predictions"]
        return [f"{rank}. {p['label']}: {p['probability']:.4f}" for rank, p in enumerate(found, start=1)]

    with beagle_serve(repository, tmp_path) as (process, url), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, pictures * 25))
        assert answers == answers[:4] * 25
        assert process.terminate() == 0
    bright, dark = np.exp(250 / 255), np.exp(50 / 255)
    for label, lines in zip(LABELS, answers, strict=False):
        assert lines[0] == f"1. {label}: {bright / (bright + 3 * dark):.4f}"
        assert len(lines) == 4

    with running(
        python("-m", "service.cli", "predict", *pictures, "--model-repository", repository), tmp_path
    ) as predict:
        assert predict.wait() == 0
        expected = [line for path, lines in zip(pictures, answers, strict=False) for line in (f"{path}:", *lines)]
        assert predict.out.splitlines() == expected


def test_a_file_that_is_no_model_is_named_and_ends_the_service(repository: Path, tmp_path: Path) -> None:
    version = tmp_path / "models" / "broken" / "1"
    version.mkdir(parents=True)
    (version / "serving.toml").write_text(SERVING)
    (version / "model.keras").write_bytes(b"no archive")
    flags = ["--port", "0", "--model-repository", str(tmp_path / "models")]
    with running(python("-m", "service.cli", "serve", *flags), tmp_path) as process:
        assert process.wait() == 1
        assert "model.keras, cannot be loaded" in process.err
        assert "gives up" in process.err
