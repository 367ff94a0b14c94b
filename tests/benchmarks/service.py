"""The service with a model that costs nothing, beside LitServe with the same work.

Every round starts each server anew, first for one client (the time of a request), then for 32 (images a second).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests
from PIL import Image

from tests.benchmarks.load import Form, LoadError, ask, put_load
from tests.benchmarks.models import noop_serve
from tests.benchmarks.models.noop_worker import LABELS, PROBABILITIES, SIDE, TOP, write_repository
from tests.benchmarks.rounds import Figures, alternate, median, median_of_ratios, print_table, spread
from tests.service.processes import eventually, free_port, python, running

MANY_CLIENTS = 32
WARM_UP_S = 1
START_PATIENCE_S = 60.0

_READY = re.compile(r"ready on (http://\S+)")


@dataclass(frozen=True)
class Beagle:
    """`beagle serve` with a worker whose model does nothing; the defaults are its own."""

    web_processes: int = 2
    workers: int = 1

    def __str__(self) -> str:
        return f"Beagle, web processes {self.web_processes}, workers {self.workers}"

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Run it; gives the URL to post to."""
        # The path of the queue server's socket must be short.
        with tempfile.TemporaryDirectory(prefix="b-") as name:
            folder = Path(name)
            environ = {
                "BEAGLE_MODEL_REPOSITORY": str(write_repository(folder / "models")),
                "BEAGLE_PORT": "0",
                "BEAGLE_WEB_PROCESSES": str(self.web_processes),
                "BEAGLE_WORKERS": str(self.workers),
                "TMPDIR": name,
            }
            with running(python("-m", noop_serve.__name__), folder, environ) as process:
                eventually(lambda: _READY.search(process.out), "Beagle is ready")
                [address] = _READY.findall(process.out)
                yield f"{address}/predict"
                process.terminate()


@dataclass(frozen=True)
class LitServe:
    """LitServe with the same work; attributes are its own settings."""

    max_batch_size: int = 32
    batch_timeout: float = 0.0
    workers_per_device: int = 1
    num_api_servers: int = 1
    api_server_worker_type: str = "process"
    fast_queue: bool = False

    def __str__(self) -> str:
        return (
            f"LitServe, batch {self.max_batch_size}, timeout {self.batch_timeout:g}, "
            f"workers {self.workers_per_device}, API {self.api_server_worker_type} x{self.num_api_servers}"
            f"{', fast_queue' if self.fast_queue else ''}"
        )

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Run it; gives the URL to post to."""
        port = free_port()
        command = python("-m", "tests.benchmarks.peers.litserve_noop", "--port", str(port))
        command += ["--max-batch-size", str(self.max_batch_size), "--batch-timeout", str(self.batch_timeout)]
        command += ["--workers-per-device", str(self.workers_per_device)]
        command += ["--num-api-servers", str(self.num_api_servers)]
        command += ["--api-server-worker-type", self.api_server_worker_type]
        command += ["--fast-queue"] if self.fast_queue else []

        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="litserve-"))
            process = stack.enter_context(running(command, Path(folder), {"TMPDIR": folder}))

            def healthy() -> bool:
                if process.process.poll() is not None:
                    raise LoadError(f"LitServe ended with {process.process.returncode}: {process.err[-2000:]}")
                with contextlib.suppress(requests.RequestException):
                    return requests.get(f"http://127.0.0.1:{port}/health", timeout=1).ok
                return False

            eventually(healthy, "LitServe is healthy", START_PATIENCE_S)
            yield f"http://127.0.0.1:{port}/predict"


Server = Beagle | LitServe

BEAGLE = Beagle()
LITSERVE = LitServe(batch_timeout=0.001, fast_queue=True, num_api_servers=2)
"""The settings with which LitServe was best on two cores among those that form batches; `--search` measures others."""

LITSERVE_SETTINGS = (
    LITSERVE,
    LitServe(),
    LitServe(fast_queue=True),
    LitServe(num_api_servers=2),
    LitServe(batch_timeout=0.001),
    LitServe(batch_timeout=0.001, fast_queue=True),
    LitServe(batch_timeout=0.001, workers_per_device=2, num_api_servers=2),
    LitServe(batch_timeout=0.005, fast_queue=True),
    # No batches at all, which is no choice for a real model.
    LitServe(max_batch_size=1, fast_queue=True),
    LitServe(max_batch_size=1, fast_queue=True, num_api_servers=2),
    LitServe(max_batch_size=1, fast_queue=True, api_server_worker_type="thread"),
)
BEAGLE_SETTINGS = (BEAGLE, Beagle(web_processes=1), Beagle(workers=2))


def picture() -> bytes:
    """A PNG file of 28x28 grey pixels that does not compress to nothing."""
    pixels = np.random.default_rng(7).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def check(answer: bytes) -> None:
    """Raise LoadError unless the answer has the model's five labels with their probabilities."""
    expected = [(label, PROBABILITIES[LABELS.index(label)]) for label in TOP]
    content = json.loads(answer)
    got = [(entry["label"], entry["probability"]) for entry in content["predictions"]]
    if content["success"] is not True or got != expected:
        raise LoadError(f"expected the predictions {expected}, got {answer!r}")


def measure(server: Server, seconds: int) -> Figures:
    """Start a server, put load on it, stop it: p50 of one client, images a second and p99 of many."""
    form = Form.of(picture())
    with server.serving() as url:
        expected = ask(url, form)
        check(expected)
        figures: Figures = {}
        for clients in (1, MANY_CLIENTS):
            put_load(url, form, expected=expected, connections=clients, seconds=WARM_UP_S)
            load = put_load(url, form, expected=expected, connections=clients, seconds=seconds)
            if clients == 1:
                figures["p50_ms"] = load.p50_ms
            else:
                figures.update(rate=load.rate, p99_ms=load.p99_ms)
        return figures


def print_figures(title: str, measured: dict[str, list[Figures]]) -> None:
    """Print a row of medians for each server."""
    rows = [
        (
            name,
            *(median(figures, "p50_ms"), spread(figures, "p50_ms")),
            *(median(figures, "rate"), spread(figures, "rate")),
            median(figures, "p99_ms"),
        )
        for name, figures in measured.items()
    ]
    many = f"{MANY_CLIENTS} clients"
    print_table(
        title,
        ("", "p50 ms, 1 client", "lowest, highest", f"images/s, {many}", "lowest, highest", "p99 ms"),
        rows,
    )


def search(settings: Sequence[Server], rounds: int, seconds: int) -> None:
    """Print what servers reach with other settings."""
    measured = alternate(rounds, {str(one): lambda one=one: measure(one, seconds) for one in settings})  # type: ignore[misc]
    print_figures(f"Medians of {rounds} rounds", measured)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; every wrong or missing answer is an error."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks service", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each with both servers (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="of load in each measurement (default 4)")
    parser.add_argument("--search", choices=("litserve", "beagle"), help="compare settings of one server instead")
    options = parser.parse_args(arguments)
    if options.search:
        settings = LITSERVE_SETTINGS if options.search == "litserve" else BEAGLE_SETTINGS
        search(settings, options.rounds, options.seconds)
        return
    ours, theirs = str(BEAGLE), str(LITSERVE)
    servers: dict[str, Server] = {ours: BEAGLE, theirs: LITSERVE}
    measured = alternate(
        options.rounds,
        {name: lambda server=server: measure(server, options.seconds) for name, server in servers.items()},  # type: ignore[misc]
    )
    print_figures(f"A model that does nothing, 28x28 PNG: medians of {options.rounds} rounds", measured)
    ratios = {name: median_of_ratios(measured[ours], measured[theirs], name) for name in ("p50_ms", "rate")}
    print_table(
        "Beagle / LitServe, median of the rounds' ratios",
        ("", "measured", "budget"),
        [
            ("p50, 1 client", ratios["p50_ms"], "<= 0.3"),
            (f"images/s, {MANY_CLIENTS} clients", ratios["rate"], ">= 1.6"),
        ],
    )
