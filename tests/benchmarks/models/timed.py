"""The service with a no-op model, whose processes write down when a request passes certain points.

`python -m tests.benchmarks.models.timed serve` stands in for `beagle serve`; it starts this module again as `web` and
as `worker`. The marks go to files in the folder that the variable TIMED_MARKS names, one a process: the number of the
point, and the system-wide monotonic clock in nanoseconds. A mark costs about one microsecond.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import mmap
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.models import noop_worker, one_session

MODULE = "tests.benchmarks.models.timed"
FOLDER = "TIMED_MARKS"
_ENTRY = struct.Struct("<BQ")
_FILE_BYTES = 8 * 2**20
_MOST = _FILE_BYTES // _ENTRY.size


class Point(IntEnum):
    """Where a request passes, in order."""

    SENT = 1
    CALLED = 2
    OPENED = 3
    ENCODED = 4
    SUBMITTING = 5
    CLAIMED = 6
    COMPUTING = 7
    COMPUTED = 8
    FINISHING = 9
    RESOLVED = 10
    RESUMED = 11
    ANSWERED = 12
    RECEIVED = 13


class _Marks:
    """The file of this process, made at its first mark: a web process is forked from one that was set up."""

    def __init__(self) -> None:
        self._pid = 0
        self._file: mmap.mmap | None = None
        self._numbers: Iterator[int] = itertools.count()

    def __call__(self, point: Point) -> None:
        now = time.monotonic_ns()
        if self._pid != os.getpid():
            self._open()
        number = next(self._numbers)  # threads may come here at once
        if number < _MOST and self._file is not None:
            _ENTRY.pack_into(self._file, number * _ENTRY.size, point, now)

    def _open(self) -> None:
        self._pid = os.getpid()
        self._numbers = itertools.count()
        path = Path(os.environ[FOLDER]) / str(self._pid)
        with path.open("w+b") as file:
            file.truncate(_FILE_BYTES)
            self._file = mmap.mmap(file.fileno(), _FILE_BYTES)


mark = _Marks()


def read_marks(folder: Path) -> list[tuple[int, Point]]:
    """The marks of all processes, (nanoseconds, point), in the order of time."""
    marks = [
        (at, Point(point))
        for file in folder.iterdir()
        for point, at in _ENTRY.iter_unpack(file.read_bytes()[: _MOST * _ENTRY.size])
        if point
    ]
    return sorted(marks)


def _wrap(
    owner: Any, name: str, *, before: Point | None = None, after: Point | Callable[[Any], None] | None = None
) -> None:
    """Have a function mark when it is called and when it returned; `after` may look at what it returned."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        if before is not None:
            mark(before)
        result = function(*arguments, **options)
        if isinstance(after, Point):
            mark(after)
        elif after is not None:
            after(result)
        return result

    setattr(owner, name, wrapper)


def _serve() -> int:
    """`models.one_session`, with this module for the web processes and the worker."""
    from service import serve

    web_spec = serve.web_spec

    def timed_web_spec(*arguments: Any) -> Any:
        spec = web_spec(*arguments)
        command = list(spec.command)
        at = command.index("service.web")
        return dataclasses.replace(spec, command=[*command[:at], MODULE, "web", *command[at + 1 :]])

    serve.web_spec = timed_web_spec  # type: ignore[assignment]
    return one_session.main([MODULE, "worker"])


def _web(arguments: list[str]) -> int:
    from service.broker import Waiting, WebBroker
    from service.web.__main__ import main
    from service.web.decoder import Decoder
    from service.web.gunicorn_app import WebServer

    load = WebServer.load

    def timed_load(self: WebServer) -> Any:
        application = load(self)
        answer = application.wsgi_app

        def timed_answer(environ: Any, start_response: Any) -> Any:
            mark(Point.CALLED)
            result = answer(environ, start_response)
            mark(Point.ANSWERED)
            return result

        application.wsgi_app = timed_answer
        return application

    WebServer.load = timed_load  # type: ignore[method-assign]
    _wrap(Decoder, "payload", before=Point.OPENED, after=Point.ENCODED)
    _wrap(WebBroker, "submit", before=Point.SUBMITTING)
    _wrap(Waiting, "resolve", before=Point.RESOLVED)
    _wrap(Waiting, "result", after=Point.RESUMED)
    return main(arguments)


class _TimedSession(noop_worker.NoopSession):
    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        mark(Point.COMPUTING)
        y = super().run(x)
        mark(Point.COMPUTED)
        return y


def _worker() -> int:
    from service.broker import Batch, WorkerBroker
    from service.worker import main

    def after(result: Any) -> None:
        """Of what may bring a batch."""
        if isinstance(result, Batch) or getattr(result, "next", None) is not None:
            mark(Point.CLAIMED)

    for name in ("claim", "wait"):
        _wrap(WorkerBroker, name, after=after)
    _wrap(WorkerBroker, "finish", before=Point.FINISHING, after=after)
    return main(load=lambda served: _TimedSession())


if __name__ == "__main__":
    part, *rest = sys.argv[1:]
    sys.exit({"serve": _serve, "web": lambda: _web(rest), "worker": _worker}[part]())
