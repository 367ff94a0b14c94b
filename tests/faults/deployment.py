"""What the faults happen to: queue server, web servers, workers and nginx, all real processes of our own."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis
import requests

from service.embedded import socket_path
from tests.deploy.rendering import render
from tests.faults import numbered_worker, supervised
from tests.faults.behaviour import Behaviour, write_repository
from tests.faults.programs import Program
from tests.faults.proxy import Proxy
from tests.faults.queue_server import SingleServer, WatchedServers
from tests.service.processes import children, eventually, free_port, python

READY_WITHIN_S = 30.0


@dataclass(frozen=True)
class Layout:
    """What a deployment consists of; equal ones may be shared.

    Attributes:
        together: `beagle serve` with all its parts under one supervisor; else each part by itself.
        server: program of the queue server, `embedded` (Valkey) or `redis-server`.
        persistent: whether the server finds its data again after it was killed.
        watched: a master, a replica and a sentinel in place of one server.
        proxied: whether the service reaches the server through a `Proxy`.
        balanced: nginx before the two web servers; else clients talk to them directly.
        web_processes: of each web server.
        workers: worker processes.
        supervised: whether a supervisor restarts them; else each runs by itself.
        batch_s, image_s, wrong_every, lease_ms: as in `Behaviour`.
        max_batch, deadline_s, compute_limit_s: of the served model.
        settings: further variables for web servers and workers, such as (("BEAGLE_MAX_QUEUE_JOBS", "50"),).
    """

    together: bool = False
    server: str = "embedded"
    persistent: bool = False
    watched: bool = False
    proxied: bool = False
    balanced: bool = True
    web_processes: int = 1
    workers: int = 3
    supervised: bool = True
    batch_s: float = 0.05
    image_s: float = 0.0
    wrong_every: int = 0
    lease_ms: int = 0
    max_batch: int = 4
    deadline_s: float = 20.0
    compute_limit_s: float = 10.0
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Death:
    """A worker process that was killed; `at` in monotonic seconds."""

    pid: int
    at: float


@dataclass
class Deployment:
    """A running layout.

    Attributes:
        urls: where clients post.
        server: the queue server; None where it is the supervisor's own.
        webs, workers: the programs; `workers` has one, the supervisor, where there is one.
        deaths: of workers, written by the faults.
        lives: moments between two lives of the queue server's data, after the last answer of the one and before the
            first of the other; written by the faults.
        warm: whether it has answered requests before.
        changing: held by who ends programs and starts them again.
    """

    layout: Layout
    folder: Path
    server: SingleServer | WatchedServers | None = None
    proxy: Proxy | None = None
    webs: list[Program] = field(default_factory=list)
    workers: list[Program] = field(default_factory=list)
    nginx: Program | None = None
    urls: tuple[str, ...] = ()
    ready_urls: tuple[str, ...] = ()
    deaths: list[Death] = field(default_factory=list)
    lives: list[float] = field(default_factory=list)
    warm: bool = False
    changing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_direct(self) -> bool:
        """Whether clients talk to web processes without nginx in between."""
        return self.nginx is None

    @property
    def programs(self) -> list[Program]:
        """All that were started, apart from queue servers."""
        return [*([self.nginx] if self.nginx else []), *self.webs, *self.workers]

    @property
    def work_folder(self) -> Path:
        """Where the workers write down what they did."""
        return self.folder / "work"

    @property
    def supervisor(self) -> Program:
        """Of the workers, or of everything."""
        [program] = self.workers
        return program

    def connect(self) -> redis.Redis:
        """A client of the queue server as it is at this moment; OSError or RedisError where there is none."""
        if self.server is not None:
            return self.server.connect()
        for folder in self.folder.glob("beagle-*"):
            return redis.Redis(unix_socket_path=str(socket_path(folder)), protocol=2)
        raise FileNotFoundError("the supervisor's queue server has no folder")

    def parts(self, kind: str) -> list[int]:
        """Ids of the supervisor's children with this in their command line."""
        return [pid for pid, command in children(self.supervisor.pid).items() if kind in command]

    def worker_pids(self) -> list[int]:
        """The worker processes that live."""
        if self.layout.supervised or self.layout.together:
            return self.parts(numbered_worker.__name__)
        return [worker.pid for worker in self.workers if worker.life.process.poll() is None]

    def master_pids(self) -> list[int]:
        """The processes that start the web processes."""
        if self.layout.together:
            return self.parts("service.web")
        return [web.pid for web in self.webs if web.life.process.poll() is None]

    def web_pids(self) -> list[int]:
        """The processes that answer requests."""
        return [pid for master in self.master_pids() for pid in children(master)]

    def names(self) -> dict[int, str]:
        """What to call the processes of the service, by id."""
        named = dict.fromkeys(self.worker_pids(), "worker") | dict.fromkeys(self.web_pids(), "web process")
        if self.layout.supervised or self.layout.together:
            named[self.supervisor.pid] = "supervisor"
        return named

    def wait_until_whole(self) -> None:
        """Wait until everything runs and every worker has its lease."""
        for url in self.ready_urls:
            eventually(lambda url=url: _answers(f"{url}/readyz"), f"{url} is ready", READY_WITHIN_S)  # type: ignore[misc]
        layout = self.layout
        eventually(lambda: len(self.worker_pids()) >= layout.workers, "all workers run", READY_WITHIN_S)
        eventually(lambda: self.leases() >= layout.workers, "all workers serve", READY_WITHIN_S)

    def leases(self) -> int:
        """How many workers the queue server holds for alive."""
        try:
            with self.connect() as client:
                return sum(1 for _ in client.scan_iter(match="beagle:*:lease:*", count=1000))
        except (redis.RedisError, OSError):
            return 0

    def complaints(self) -> list[str]:
        """What the programs said that tells of a fault of ours."""
        return [complaint for program in self.programs for complaint in program.complaints()]


@contextlib.contextmanager
def deployed(layout: Layout) -> Iterator[Deployment]:
    """Start a layout, and wait until it is whole; in the end nothing of it is left."""
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="b-"))  # the paths of Unix sockets must be short
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # nginx may run as another user
        made = Deployment(layout, folder)
        made.work_folder.mkdir()
        environ = {
            "BEAGLE_MODEL_REPOSITORY": str(
                write_repository(
                    folder / "models",
                    max_batch=layout.max_batch,
                    deadline_s=layout.deadline_s,
                    compute_limit_s=layout.compute_limit_s,
                )
            ),
            "BEAGLE_WEB_PROCESSES": str(layout.web_processes),
            "BEAGLE_WORKERS": str(layout.workers),
            **Behaviour(
                made.work_folder, layout.batch_s, layout.image_s, layout.wrong_every, layout.lease_ms
            ).to_environ(),
            **dict(layout.settings),
        }
        if layout.together:
            _start_together(made, environ, stack)
        else:
            _start_apart(made, environ, stack)
        made.wait_until_whole()
        yield made


def _start_together(made: Deployment, environ: Mapping[str, str], stack: contextlib.ExitStack) -> None:
    program = Program(
        "serve",
        python("-m", supervised.__name__, "serve"),
        made.folder,
        {**environ, "BEAGLE_PORT": "0", "TMPDIR": str(made.folder)},
    )
    stack.callback(program.end)
    program.start()
    made.workers.append(program)
    ready = eventually(
        lambda: re.search(r"ready on (http://\S+)", program.life.out), "the service is ready", READY_WITHIN_S
    )
    assert ready is not None, "waited for above"
    made.urls = made.ready_urls = (ready[1],)


def _start_apart(made: Deployment, environ: dict[str, str], stack: contextlib.ExitStack) -> None:
    layout, folder = made.layout, made.folder
    if layout.watched:
        made.server = WatchedServers(layout.server, folder)
        stack.callback(made.server.end)
        environ["REDIS_URL"] = made.server.url
    else:
        server = made.server = SingleServer(layout.server, persistent=layout.persistent)
        stack.callback(server.end)
        environ["REDIS_URL"] = server.url
        if layout.proxied:
            made.proxy = stack.enter_context(Proxy(server.socket))
            environ["REDIS_URL"] = f"redis://127.0.0.1:{made.proxy.port}"
    ports = free_port(), free_port()
    made.webs += [
        Program(f"web-{number}", python("-m", "service.cli", "web", "--port", str(port)), folder, environ)
        for number, port in enumerate(ports, start=1)
    ]
    if layout.supervised:
        made.workers.append(Program("workers", python("-m", supervised.__name__), folder, environ))
    else:
        worker = python("-m", numbered_worker.__name__)
        made.workers += [Program(f"worker-{number}", worker, folder, environ) for number in range(layout.workers)]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    made.urls = made.ready_urls = tuple(urls)
    if layout.balanced:
        listen = free_port()
        made.nginx = Program("nginx", _nginx_command(ports, listen, folder), folder)
        made.urls = (f"http://127.0.0.1:{listen}",)
        made.ready_urls = (*urls, *made.urls)
    for program in made.programs:
        stack.callback(program.end)
        program.start()


def _nginx_command(ports: tuple[int, int], listen: int, folder: Path) -> list[str | Path]:
    program = shutil.which("nginx")
    if program is None:
        raise RuntimeError("the program nginx is not on PATH; install the package nginx")
    configuration = folder / "nginx.conf"
    configuration.write_text(render(ports, listen, folder))
    return [program, "-e", "stderr", "-p", folder, "-c", configuration, "-g", "daemon off;"]


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(url, timeout=READY_WITHIN_S).ok
    return False
