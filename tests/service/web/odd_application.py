"""A WSGI application that answers by its path in all the ways there are, under our gunicorn worker, with short waits.

`python -m tests.service.web.odd_application FD [SETTING=VALUE…]` serves it on the listening socket FD.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

from service.settings import Settings
from service.telemetry import configure_logging
from service.web import gunicorn_app
from service.web.http.connection import Patience

PATIENCE = Patience(keep_alive_s=2.5, head_s=2.0, stall_s=3.0, discard_s=2.0, settled_s=0.5)
LARGE = 50_000_000

Start = Callable[..., Callable[[bytes], None]]
TEXT = [("Content-Type", "text/plain")]


def application(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """Answer `/<way>` by the function of that name."""
    way = environ["PATH_INFO"].strip("/").partition("/")[0]
    return WAYS.get(way, echo)(environ, start_response)


def echo(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """Answer with the environment and the body, read by the query's words."""
    source = environ["wsgi.input"]
    body = {
        "lines": lambda: b"|".join(source),
        "readlines": lambda: b"|".join(source.readlines()),
        "small": lambda: b"".join(iter(lambda: source.read(3), b"")),
    }.get(environ["QUERY_STRING"], source.read)()
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    data = json.dumps({"environ": seen, "body": body.decode("latin-1")}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


def size(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return [str(len(environ["wsgi.input"].read())).encode()]


def unread(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return [b"unread"]


def stream(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b""
    yield b"one,"
    yield b"two"


def write(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    send = start_response("200 OK", [*TEXT, ("Content-Length", "7")])
    send(b"one,")
    return [b"two and more than was said"]


def nothing(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return []


def short(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", "10")])
    return [b"short"]


def failing(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    raise RuntimeError("it fails")


def failing_late(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b"begun"
    raise RuntimeError("it fails late")


def split(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("X-Name", "value\r\nX-Other: smuggled")])
    return [b"never"]


def large(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", str(LARGE))])
    return [b"x" * LARGE]


def late(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", TEXT)
    return [b"late"]


def valid(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """Under the standard library's checker of PEP 3333."""

    def inner(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(1000)
        start_response("200 OK", TEXT)
        return [body]

    result: Iterable[bytes] = validator(inner)(environ, start_response)
    return result


WAYS: dict[str, Callable[[dict[str, Any], Start], Iterable[bytes]]] = {
    "size": size,
    "unread": unread,
    "stream": stream,
    "write": write,
    "nothing": nothing,
    "short": short,
    "failing": failing,
    "failing-late": failing_late,
    "split": split,
    "large": large,
    "late": late,
    "valid": valid,
}


class Server(gunicorn_app.WebServer):
    """Our web server around this application."""

    def load(self) -> Any:
        """Return it."""
        return application


def main() -> None:
    """Serve until SIGTERM."""
    worker = gunicorn_app.gevent_worker_class()
    worker.patience = PATIENCE  # type: ignore[attr-defined]
    gunicorn_app.gevent_worker_class = lambda: worker
    configure_logging("info", "json")
    settings = Settings.load({}, web_processes=1, **dict(text.split("=") for text in sys.argv[2:]))
    Server(settings, int(sys.argv[1])).run()


if __name__ == "__main__":
    main()
