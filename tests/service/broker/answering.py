"""Helpers of the broker's tests: a worker thread that answers, waiting for a condition, a proxy that loses replies."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.broker import Batch, BrokerUnavailable, Waiting, WorkerBroker

MODEL = ("digits", "1")


def until(condition: Callable[[], object], seconds: float = 5.0) -> object:
    """The first true value of `condition`; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"did not become true within {seconds} s"
        time.sleep(0.005)


def claimed(worker: WorkerBroker, seconds: float = 5.0) -> Batch:
    """The next batch, waited for."""

    def claim() -> Batch | None:
        try:
            return worker.claim()
        except BrokerUnavailable:
            return None

    batch = until(claim, seconds)
    assert isinstance(batch, Batch)
    return batch


def accepted(waiting: Waiting) -> Waiting:
    """The same, once a server has taken it; raises its refusal."""
    waiting.accepted()
    return waiting


def answers(batch: Batch) -> dict[str, bytes]:
    """An answer to each job that tells its payload."""
    return {job.uuid: b"answer to " + job.payload for job in batch.jobs}


@contextmanager
def answering(worker: WorkerBroker) -> Iterator[None]:
    """Answers everything, in a thread."""
    stop = threading.Event()

    def work() -> None:
        batch: Batch | None = None
        while not stop.is_set():
            try:
                if batch is None:
                    batch = worker.wait(0.2)
                else:
                    batch = worker.finish(batch, answers(batch), seconds=0.0, claim=True).next
            except BrokerUnavailable:
                stop.wait(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class LosingProxy:
    """Passes Redis's Unix socket on, and breaks the connection instead of delivering the reply to a script.

    Attributes:
        url: to connect to.
        to_lose: replies to scripts that are still to be lost.
        lost: how many were.
    """

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        path = target.with_name(f"proxy-{time.monotonic_ns()}.sock")
        self.url = f"unix://{path}"
        self.to_lose = 0
        self.lost = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            self._pairs.append((client, server))
            losing = threading.Event()
            threading.Thread(target=self._requests, args=(client, server, losing), daemon=True).start()
            threading.Thread(target=self._replies, args=(client, server, losing), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        for data in _received(client):
            if self.to_lose and b"EVALSHA" in data:
                self.to_lose -= 1
                losing.set()
            try:
                server.sendall(data)
            except OSError:
                break
        _shut(server)

    def _replies(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        for data in _received(server):
            if losing.is_set():
                self.lost += 1
                break
            try:
                client.sendall(data)
            except OSError:
                break
        _shut(client)

    def close(self) -> None:
        """End all that it passes on."""
        _shut(self._listener)
        self._listener.close()
        for pair in self._pairs:
            for one in pair:
                _shut(one)
                one.close()


def _received(source: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            data = source.recv(65536)
        except OSError:
            return
        if not data:
            return
        yield data


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
