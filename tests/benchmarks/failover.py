"""1,000 requests from 32 clients through nginx over two web processes and two workers, one of which is killed.

Every answer is compared with the label of its image. The killed worker (SIGKILL, while it computes) is noticed by its
supervisor in one case, and only by its lease in the other.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import requests
from PIL import Image

from service import embedded
from service.settings import DEFAULT_MODEL_REPOSITORY
from tests.benchmarks.models import counted_worker
from tests.benchmarks.models.counted_worker import COUNTS, images_by_process
from tests.benchmarks.rounds import print_table
from tests.deploy.rendering import render
from tests.service.marked_worker import CLASSES, SECONDS, write_repository
from tests.service.processes import ROOT, Running, eventually, free_port, python, running

CLIENTS = 32
WORKERS = 2
DRAWINGS = ROOT / "tests" / "data" / "drawings"
TIMEOUT_S = 40.0
KILL_AFTER = 0.3  # of all answers


@dataclass(frozen=True)
class Labelled:
    """An image file and what it shows."""

    image: bytes
    label: str


def drawings() -> list[Labelled]:
    """The drawn digits, whose files are named after what they show."""
    files = sorted(file for file in DRAWINGS.iterdir() if file.suffix in (".png", ".jpg", ".webp", ".gif"))
    return [Labelled(file.read_bytes(), file.name[0]) for file in files]


def marked_pictures() -> list[Labelled]:
    """Pictures of two by two pixels for the marked model, whose first pixel is the class."""
    pictures = []
    for marker in range(CLASSES):
        image = Image.new("L", (2, 2))
        image.putpixel((0, 0), marker)
        file = io.BytesIO()
        image.save(file, "PNG")
        pictures.append(Labelled(file.getvalue(), str(marker)))
    return pictures


@dataclass
class Deployment:
    """What runs: where to post, and where to look."""

    url: str
    ports: tuple[int, int]
    nginx: Running
    counts: Path

    def answers_by_port(self) -> Counter[int]:
        """How many predictions each web process answered, by nginx's log."""
        shares: Counter[int] = Counter()
        for line in self.nginx.out.splitlines():
            entry = json.loads(line)
            if "/predict" in entry["request"]:
                shares[int(entry["upstream"].rpartition(":")[2])] += 1
        return shares


@dataclass
class Outcome:
    """What the clients saw.

    Attributes:
        seconds: from request to answer, of each.
        wrong: what came instead of each right answer that did not.
    """

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@contextlib.contextmanager
def deployment(repository: Path, *, supervised: bool) -> Iterator[Deployment]:
    """Run the queue server, two workers, two web processes, and nginx with our configuration before them."""
    nginx_program = shutil.which("nginx")
    if nginx_program is None:
        raise RuntimeError("the program nginx is not on PATH; install the package nginx")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="b-")))
        folder.chmod(0o755)  # nginx may run as another user
        counts = folder / "counts"
        counts.mkdir()
        server = [*embedded.server_command(embedded.find_binary("embedded"), folder)]
        stack.enter_context(running(server, folder))
        eventually(lambda: embedded.answers(folder), "the queue server answers")
        environ = {
            "REDIS_URL": embedded.server_url(folder),
            "BEAGLE_MODEL_REPOSITORY": str(repository),
            "BEAGLE_WEB_PROCESSES": "1",
            "BEAGLE_WORKERS": str(WORKERS),
            COUNTS: str(counts),
            SECONDS: "0.01",
        }
        ports, listen = (free_port(), free_port()), free_port()
        for port in ports:
            stack.enter_context(running(python("-m", "service.cli", "web", "--port", str(port)), folder, environ))
        worker = python("-m", counted_worker.__name__)
        for command in [[*worker, "--supervise"]] if supervised else [worker] * WORKERS:
            process = stack.enter_context(running(command, folder, environ))
            stack.callback(process.process.terminate)
        configuration = folder / "nginx.conf"
        configuration.write_text(render(ports, listen, folder))
        command = [nginx_program, "-e", "stderr", "-p", folder, "-c", configuration, "-g", "daemon off;"]
        nginx = stack.enter_context(running(command, folder))
        made = Deployment(f"http://127.0.0.1:{listen}", ports, nginx, counts)
        for port in (*ports, listen):
            eventually(lambda port=port: _ready(port), f"port {port} is ready")  # type: ignore[misc]
        eventually(lambda: len(images_by_process(counts)) == WORKERS, "both workers are ready", TIMEOUT_S)
        yield made


def _ready(port: int) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=TIMEOUT_S).ok
    return False


def post_all(url: str, pictures: Sequence[Labelled], count: int, at_third: threading.Event) -> Outcome:
    """Post `count` pictures from all clients at once; `at_third` is set when the load is well on its way."""
    outcome = Outcome()
    sessions = threading.local()

    def post(number: int) -> None:
        if not hasattr(sessions, "session"):
            sessions.session = requests.Session()
        picture = pictures[number % len(pictures)]
        started = time.monotonic()
        try:
            response = sessions.session.post(f"{url}/predict", files={"image": picture.image}, timeout=TIMEOUT_S)
            right = response.status_code == 200 and response.json()["predictions"][0]["label"] == picture.label
            if not right:
                outcome.wrong.append(f"expected {picture.label}, got {response.status_code}: {response.text[:200]}")
        except (requests.RequestException, ValueError, LookupError) as error:
            outcome.wrong.append(f"expected {picture.label}, got {error!r}")
        outcome.seconds.append(time.monotonic() - started)
        if len(outcome.seconds) >= KILL_AFTER * count:
            at_third.set()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(post, range(count)))
    return outcome


def run(repository: Path, pictures: Sequence[Labelled], count: int, *, kill: bool, supervised: bool) -> list[object]:
    """Run one case; the row of the table.

    Raises:
        RuntimeError: an answer was wrong or missing, or a web process or worker took no part.
    """
    with deployment(repository, supervised=supervised) as deployed, ThreadPoolExecutor(1) as pool:
        before = images_by_process(deployed.counts)
        on_its_way = threading.Event()
        started = time.monotonic()
        posting = pool.submit(post_all, deployed.url, pictures, count, on_its_way)
        killed: int | None = None
        if kill:
            on_its_way.wait()
            killed = next(iter(before))
            os.kill(killed, signal.SIGKILL)
        outcome = posting.result()
        took_s = time.monotonic() - started
        computed = {
            pid: images - before.get(pid, 1)  # each process first tries its model on one blank image
            for pid, images in images_by_process(deployed.counts).items()
        }
        eventually(lambda: deployed.answers_by_port().total() >= count, "nginx has written its log")
        shares = deployed.answers_by_port()
    if outcome.wrong:
        wrong = len(outcome.wrong)
        raise RuntimeError(f"{wrong} of {count} answers were wrong or missing; the first: {outcome.wrong[0]}")
    web = [shares[port] for port in deployed.ports]
    if min(web) == 0 or min(computed[pid] for pid in before) == 0:
        raise RuntimeError(f"not all took part: answers by web process {web}, images by worker {computed}")
    workers = [f"{images}{' (killed)' if pid == killed else ''}" for pid, images in computed.items()]
    cuts = statistics.quantiles(outcome.seconds, n=100)
    return [
        f"{count} of {count}",
        " + ".join(map(str, web)),
        " + ".join(workers),
        *(f"{seconds * 1000:.0f}" for seconds in (cuts[49], cuts[98], max(outcome.seconds))),
        f"{took_s:.1f}",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the three cases and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks failover", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="of each case (default 1000)")
    parser.add_argument("--marked", action="store_true", help="use the tests' model instead of the shipped digits")
    options = parser.parse_args(arguments)
    digits = DEFAULT_MODEL_REPOSITORY / "digits"
    with tempfile.TemporaryDirectory(prefix="b-") as name:
        if options.marked or not digits.exists():
            model, pictures = "the marked model", marked_pictures()
            repository = write_repository(Path(name) / "models", "marked")
        else:
            model, pictures, repository = "digits", drawings(), DEFAULT_MODEL_REPOSITORY
        cases = {
            "nothing happens": {"kill": False, "supervised": True},
            "a worker is killed, its supervisor sees it": {"kill": True, "supervised": True},
            "a worker is killed, its lease runs out": {"kill": True, "supervised": False},
        }
        rows = [[case, *run(repository, pictures, options.requests, **how)] for case, how in cases.items()]
    print_table(
        f"{model}, {CLIENTS} clients; images computed may exceed the answers where a batch was computed twice",
        (
            "",
            "right answers",
            "by web process",
            "images by worker",
            "p50 ms",
            "p99 ms",
            "slowest ms",
            "seconds",
        ),
        rows,
    )
