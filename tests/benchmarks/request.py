"""Where the time of one request goes: one client, a no-op model, and the moments at which it passes from step to step.

The marks are taken inside the processes of the service, see `models.timed`. Shown are means over the half of the
requests whose total lies nearest to the median, so that the steps add up to the total.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import redis

from tests.benchmarks.load import Body, LoadError
from tests.benchmarks.models import noop_worker, timed
from tests.benchmarks.models.timed import Point
from tests.benchmarks.pictures import digit, photograph
from tests.benchmarks.processor_time import seconds_by_role
from tests.benchmarks.rounds import print_table
from tests.benchmarks.servers import Beagle, Serving
from tests.service.processes import eventually

_SELDOM = 0.05  # calls a request: of commands that come with time and not with requests

_Commands = dict[str, tuple[int, float]]

PICTURES = {"digit": digit, "photo": photograph}
STEPS = {
    Point.CALLED: ("client to web", "sent, received, HTTP parsed"),
    Point.OPENED: ("web", "routed, admitted, form read"),
    Point.ENCODED: ("web", "image decoded, resized, written as base64"),
    Point.SUBMITTING: ("web", "on its way to the broker"),
    Point.CLAIMED: ("web to worker", "submitted, queued, handed over"),
    Point.COMPUTING: ("worker", "payload read, preprocessed"),
    Point.COMPUTED: ("worker", "computed"),
    Point.FINISHING: ("worker", "answer written"),
    Point.RESOLVED: ("worker to web", "finished, answer read"),
    Point.RESUMED: ("web", "the waiting request resumed"),
    Point.ANSWERED: ("web", "response made"),
    Point.RECEIVED: ("web to client", "response sent, received"),
}
"""What happens before a point, and where."""


@dataclass(frozen=True)
class Measured:
    """What was seen of many requests.

    Attributes:
        steps: microseconds before each point, summing up to the total.
        total_us: from sending to having received.
        requests: how many were sent; passed: how many of them left all marks.
        commands: of the queue server: calls a request, and microseconds of each call, by name.
        processor_us: processor time a request, by role.
    """

    steps: Mapping[Point, float]
    total_us: float
    requests: int
    passed: int
    commands: Mapping[str, tuple[float, float]]
    processor_us: Mapping[str, float]


class Client:
    """One connection to the service; costs little itself.

    Raises:
        LoadError: an answer has another status than 200, or the connection ended.
    """

    def __init__(self, url: str, body: Body) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {body.content_type}\r\n"
        self._request = f"{head}Content-Length: {len(body.content)}\r\n\r\n".encode() + body.content

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self) -> tuple[int, int]:
        """Send the request, and read its answer: when each was, in nanoseconds of the monotonic clock."""
        sent = time.monotonic_ns()
        self._socket.sendall(self._request)
        answer = b""
        missing = 1
        while missing > 0:
            part = self._socket.recv(65536)
            answer += part
            head, end, content = answer.partition(b"\r\n\r\n")
            if not part or (end and not head.startswith(b"HTTP/1.1 200")):
                raise LoadError(f"expected an answer with status 200, got {answer!r}")
            if end:
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                missing = length - len(content)
        return sent, time.monotonic_ns()


def measure(picture: str, requests: int, warm_up: int = 100) -> Measured:
    """Run the service, and follow so many requests one after the other; `picture` is one of PICTURES."""
    with tempfile.TemporaryDirectory(prefix="b-") as name:
        marks, models = Path(name, "marks"), Path(name, "models")
        marks.mkdir()
        noop_worker.write_repository(models, picture)
        environ = {timed.FOLDER: str(marks)}
        with Beagle().serving_repository(models, program=(timed.MODULE, "serve"), environ=environ) as serving:
            with Client(serving.url, Body.form(PICTURES[picture]())) as client:
                for _ in range(warm_up):
                    client.ask()
                before = _commands(serving), seconds_by_role(serving.pid, serving.roles)
                windows = [client.ask() for _ in range(requests)]
                after = _commands(serving), seconds_by_role(serving.pid, serving.roles)
            # What the worker does once the client has its answer.
            eventually(lambda: _count(marks, Point.FINISHING) >= warm_up + requests, "the worker's last mark")
        passages = _passages(timed.read_marks(marks), windows)
    if not passages:
        raise LoadError(f"none of {requests} requests left a mark at each of {', '.join(p.name for p in STEPS)}")
    points = (Point.SENT, *STEPS)
    spans = np.diff(np.array([[passage[point] for point in points] for passage in passages]), axis=1) / 1000
    total = spans.sum(axis=1)
    middle = np.argsort(total)[len(total) // 4 : len(total) - len(total) // 4]
    means = spans[middle].mean(axis=0)
    return Measured(
        dict(zip(STEPS, map(float, means), strict=True)),
        float(means.sum()),
        requests,
        len(passages),
        {name: one for name, one in _by_request(before[0], after[0], requests).items() if one[0] >= _SELDOM},
        {role: (seconds - before[1].get(role, 0.0)) / requests * 1e6 for role, seconds in after[1].items()},
    )


def _count(marks: Path, point: Point) -> int:
    return sum(each is point for _, each in timed.read_marks(marks))


def _passages(marks: Sequence[tuple[int, Point]], windows: Sequence[tuple[int, int]]) -> list[dict[Point, int]]:
    """For each request that left all marks, in order, the moment of each: the first within its time."""
    moments = [at for at, _ in marks]
    passages = []
    for sent, received in windows:
        passage = {Point.SENT: sent}
        for at, point in marks[bisect_left(moments, sent) : bisect_left(moments, received)]:
            passage.setdefault(point, at)
        passage[Point.RECEIVED] = received
        ordered = [passage.get(point, -1) for point in (Point.SENT, *STEPS)]
        if ordered == sorted(ordered) and ordered[0] >= 0:
            passages.append(passage)
    return passages


def _by_request(before: _Commands, after: _Commands, requests: int) -> dict[str, tuple[float, float]]:
    """Calls a request and microseconds a call, of what was called meanwhile."""
    found = {}
    for name, (calls, spent_us) in after.items():
        calls_before, spent_before_us = before.get(name, (0, 0.0))
        if calls > calls_before:
            found[name] = (calls - calls_before) / requests, (spent_us - spent_before_us) / (calls - calls_before)
    return found


def _commands(serving: Serving) -> _Commands:
    """The queue server's commands: how often each was called, and microseconds of all calls together."""
    [path] = serving.scratch.rglob("queue.sock")
    with redis.Redis(unix_socket_path=str(path)) as client:
        found = client.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): (entry["calls"], entry["usec"])
        for name, entry in found.items()
        if name != "cmdstat_info"
    }


def print_measured(picture: str, measured: Measured) -> None:
    """Print the three tables."""
    rows: list[tuple[object, ...]] = [
        (what, where, measured.steps[point], f"{measured.steps[point] / measured.total_us:.0%}")
        for point, (where, what) in STEPS.items()
    ]
    rows.append(("total", "", measured.total_us, ""))
    title = f"One client, {picture}: {measured.passed} of {measured.requests} requests left all marks"
    print_table(title, ("step", "where", "µs", "share"), rows)
    commands = [(name, *figures) for name, figures in sorted(measured.commands.items(), key=lambda item: -item[1][0])]
    print_table("The queue server's commands, those of scripts included", ("", "a request", "µs each"), commands)
    used = sorted(measured.processor_us.items(), key=lambda item: -item[1])
    print_table("Processor time", ("", "µs a request"), [*used, ("together", sum(measured.processor_us.values()))])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks request", description=__doc__)
    parser.add_argument("--pictures", nargs="+", choices=list(PICTURES), default=list(PICTURES))
    parser.add_argument("--requests", type=int, default=2000, help="one after the other (default 2000)")
    options = parser.parse_args(arguments)
    for picture in options.pictures:
        print_measured(picture, measure(picture, options.requests))
