"""The whole service with ResNet50 in each precision: a photograph's way over HTTP, queue, worker and back.

The network has random weights, which take as long as trained ones. Answers are compared by their labels: the last
digits of a probability depend on how many images happened to share a batch.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.load import ask, put_load
from tests.benchmarks.pictures import photograph
from tests.benchmarks.rounds import Figures, alternate, median, print_table, spread
from tests.benchmarks.servers import Beagle
from tests.service.processes import python

PRECISIONS = ("float32", "bfloat16", "int8")
CLIENTS = (1, 32)
_CALIBRATION_IMAGES = 8


def write_repository(folder: Path, precision: str) -> Path:
    """A model repository with ResNet50 alone."""
    repository, images, labels = folder / "models", folder / "images", folder / "labels.txt"
    images.mkdir()
    for seed in range(_CALIBRATION_IMAGES):
        (images / f"{seed}.jpg").write_bytes(photograph(seed))
    labels.write_text("".join(f"class {number}\n" for number in range(1000)))
    repository.mkdir()
    command = python("-m", "service.cli", "models", "add", "resnet50", "--weights", "random", "--precision", precision)
    command += ["--labels", str(labels), "--model-repository", str(repository)]
    command += ["--calibration", str(images)] if precision == "int8" else []
    subprocess.run(command, check=True, capture_output=True)
    return repository


def measure(repository: Path, seconds: int) -> Figures:
    """Start the service, put load on it, stop it."""
    figures: Figures = {}
    with Beagle().serving_repository(repository) as serving:
        url, body = serving.url, serving.body(photograph())
        expected = ask(url, body)
        for clients in CLIENTS:
            load = put_load(url, body, expected=expected, connections=clients, seconds=seconds, labels_only=True)
            figures[f"rate {clients}"], figures[f"p50 {clients}"] = load.rate, load.p50_ms
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; every wrong or missing answer is an error."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks resnet50_service", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="in which all precisions take their turns (default 3)")
    parser.add_argument("--seconds", type=int, default=10, help="of load in each measurement (default 10)")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="resnet50-") as name:
        repositories: dict[str, Path] = {}
        for precision in options.precisions:
            folder = Path(name, precision)
            folder.mkdir()
            repositories[precision] = write_repository(folder, precision)
        measured = alternate(
            options.rounds,
            {one: lambda path=path: measure(path, options.seconds) for one, path in repositories.items()},  # type: ignore[misc]
        )
    rows = [
        (
            precision,
            *(cell for n in CLIENTS for cell in (median(figures, f"p50 {n}"), median(figures, f"rate {n}"))),
            spread(figures, f"rate {CLIENTS[-1]}"),
        )
        for precision, figures in measured.items()
    ]
    one, many = (f"{clients} client{'s' if clients > 1 else ''}" for clients in CLIENTS)
    columns = ("", f"p50 ms, {one}", "images/s", f"p50 ms, {many}", "images/s", "lowest, highest")
    print_table(f"ResNet50, JPEG of 640 x 427: medians of {options.rounds} rounds", columns, rows)
