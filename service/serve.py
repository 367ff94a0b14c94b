"""`beagle serve` and its parts: which processes run under the supervisor, and what they share."""

from __future__ import annotations

import contextlib
import errno
import http.client
import logging
import signal
import socket
import sys
import time
from collections.abc import Sequence

from service import embedded
from service.broker import BrokerUnavailable, WorkerBroker, connect
from service.child import ChildSpec
from service.private_folder import PrivateFolder, private_folder
from service.settings import Settings
from service.supervisor import Supervisor
from service.telemetry import log_event

BACKLOG = 2048
WEB_ORDER, WORKER_ORDER, SERVER_ORDER = range(3)  # what ends last is needed longest
WORKER_GRACE_S = 15.0
SERVER_GRACE_S = 5.0
SERVER_NAME = "queue-server"
PROBE_TIMEOUT_S = 0.5
WRONG_SETTINGS, CANNOT_SERVE = 2, 78  # exit statuses of web and worker

log = logging.getLogger(__name__)


class ServeError(RuntimeError):
    """`beagle serve` cannot start; the message is for the person who started it."""


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket that children can inherit; port 0 takes a free one.

    Raises:
        ServeError: the address is in use, not of this machine, or not allowed.
    """
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServeError(f"cannot listen on {host}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ServeError(f"cannot listen on {host} port {port}: {error.strerror}; {_way_out(error)}") from error
    listener.set_inheritable(True)
    return listener


def _way_out(error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return "choose a --host that is an address of this machine"
    if error.errno == errno.EACCES:
        return "choose a --port of 1024 or above"
    return "free it or choose another --port"


def url_of(listener: socket.socket) -> str:
    """URL at which this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def worker_specs(settings: Settings, command: Sequence[str] | None = None) -> list[ChildSpec]:
    """The inference workers; `command` runs something else than `python -m service.worker`."""
    return [
        ChildSpec(
            name=f"worker-{number}",
            command=command or [sys.executable, "-m", "service.worker"],
            environ=settings.to_environ(),
            reports_ready=True,
            hopeless=frozenset({WRONG_SETTINGS, CANNOT_SERVE}),
            stop_order=WORKER_ORDER,
            grace_s=WORKER_GRACE_S,
        )
        for number in range(1, settings.workers + 1)
    ]


def web_spec(settings: Settings, listener: socket.socket) -> ChildSpec:
    """The web server, which starts its own processes on the inherited socket."""
    fd = listener.fileno()
    return ChildSpec(
        name="web",
        command=[sys.executable, "-m", "service.web", "--fd", str(fd)],
        environ=settings.to_environ(),
        pass_fds=[fd],
        hopeless=frozenset({WRONG_SETTINGS}),
        stop_order=WEB_ORDER,
        grace_s=settings.graceful_timeout_s + 5,
        orphan_signal=signal.SIGQUIT,  # nobody would answer what it still waits for
    )


def server_spec(settings: Settings, folder: PrivateFolder) -> ChildSpec:
    """The embedded queue server, on a socket in `folder`."""
    return ChildSpec(
        name=SERVER_NAME,
        command=embedded.server_command(embedded.find_binary(settings.redis_server), folder.path),
        pass_fds=[folder.lock_fd],
        is_up=lambda: embedded.answers(folder.path),
        stop_order=SERVER_ORDER,
        grace_s=SERVER_GRACE_S,
    )


class Reaper:
    """Gives the jobs of a worker that died back to the queue at once, where its lease would run on."""

    def __init__(self, redis_url: str) -> None:
        self._broker = WorkerBroker(connect(redis_url))

    def __call__(self, spec: ChildSpec, worker_id: str, crashed: bool) -> None:
        """Take in the death of a child; `worker_id` is what it reported, `crashed` whether it ended by itself."""
        try:
            self._broker.reap_worker(worker_id, crashed=crashed)
        except BrokerUnavailable as error:  # then its lease runs out by itself
            log_event(log, logging.WARNING, "cannot reap", child=spec.name, reason=str(error))


def serve(settings: Settings, worker_command: Sequence[str] | None = None) -> int:
    """Run everything until a signal; returns the exit status.

    Without a Redis URL it brings its own server, on a Unix socket in a private folder, removed at the end.

    Raises:
        ServeError, embedded.ServerStartError: it cannot start; nothing was left behind.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        specs = []
        folder = None
        if not settings.redis_url:
            folder = stack.enter_context(private_folder())
            settings = settings.replace(redis_url=embedded.server_url(folder.path))
            specs.append(server_spec(settings, folder))
        specs += [web_spec(settings, listener), *worker_specs(settings, worker_command)]
        probe = _Probe(listener, "/readyz" if settings.workers else "/healthz")
        reaper = Reaper(settings.connection_url)
        supervisor = Supervisor(specs, on_ready=probe, on_death=reaper, on_stop=listener.close)
        status = supervisor.run()
        if folder is not None and supervisor.gave_up_on == SERVER_NAME:
            log_event(log, logging.ERROR, "the queue server's last words", text=embedded.last_words(folder.path))
        return status


def work(settings: Settings, worker_command: Sequence[str] | None = None) -> int:
    """Run `settings.workers` workers alone until a signal; returns the exit status."""
    specs = worker_specs(settings, worker_command)
    return Supervisor(specs, on_death=Reaper(settings.connection_url)).run()


class _Probe:
    """Says when the service answers, and prints its URL then."""

    def __init__(self, listener: socket.socket, path: str) -> None:
        self._url = url_of(listener)
        self._path = path
        self._started = time.monotonic()

    def __call__(self) -> bool:
        connection = http.client.HTTPConnection(self._url.removeprefix("http://"), timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", self._path)
            ready = connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if ready:
            seconds = time.monotonic() - self._started
            print(f"Beagle is ready on {self._url} after {seconds:.1f} s; Ctrl-C stops it", flush=True)
        return ready
