"""gunicorn around the application: processes, worker classes, logging, graceful stop."""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import os
import sys
import time
from types import TracebackType
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from service.repository import RepositoryError
from service.settings import Settings
from service.telemetry import log_event
from service.web import EXTENSION

# Longer than the 60 s of nginx, so that it is never this side that closes a connection about to be used.
KEEP_ALIVE_S = 75
# A process whose loop stands still this long is replaced.
HUNG_S = 60
# A connection that sent nothing for so long is idle; a younger one may be about to send its request.
SETTLED_S = 0.5
SHARED_MEMORY = "/dev/shm"

log = logging.getLogger(__name__)


class EventLogger(Logger):
    """gunicorn's events as lines of our own log."""

    def setup(self, cfg: Any) -> None:
        """Keep gunicorn's levels, but write through the root logger."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def gevent_worker_class() -> type:
    """Return gunicorn's gevent worker, changed to close idle connections when it is told to stop."""
    import gevent
    from gunicorn.workers.ggevent import GeventWorker

    class IdleTimeout(gevent.Timeout):
        """The keep-alive time of one connection that waits for its next request."""

        def __init__(self, worker: PromptGeventWorker) -> None:
            super().__init__(worker.cfg.keepalive, False)
            self.idle = worker.idle
            self.since = time.monotonic()

        def __enter__(self) -> Any:
            self.idle[self] = gevent.getcurrent()
            return super().__enter__()

        def __exit__(self, kind: Any, value: BaseException | None, traceback: TracebackType | None) -> Any:
            self.idle.pop(self, None)
            return super().__exit__(kind, value, traceback)

    class PromptGeventWorker(GeventWorker):
        """Ends once the requests in flight are answered, rather than when idle clients hang up."""

        idle: dict[IdleTimeout, Any]
        alive: bool

        def timeout_ctx(self) -> IdleTimeout:
            return IdleTimeout(self)

        def notify(self) -> None:
            if self.ppid == os.getppid():
                super().notify()
            elif self.alive:  # the master was killed; its clients were not
                log_event(log, logging.WARNING, "the master is gone, finishing what is in flight")
                self.alive = False

        def run(self) -> None:
            self.idle = {}
            gevent.spawn(self._close_idle_connections)
            super().run()

        def _close_idle_connections(self) -> None:
            while self.alive:
                gevent.sleep(0.1)
            while True:
                for timeout, connection in list(self.idle.items()):
                    if time.monotonic() - timeout.since > SETTLED_S:
                        gevent.kill(connection, timeout)
                gevent.sleep(0.1)

    return PromptGeventWorker


class WebServer(BaseApplication):
    """The web processes of one machine under gunicorn's master.

    Each process makes its own application, and so its own broker, after it was forked and (gevent) patched:
    the master imports neither Flask nor the Redis client.

    Args:
        settings: All settings.
        fd: Listening socket to use, inherited; None binds `settings.host` and `settings.port`.
    """

    def __init__(self, settings: Settings, fd: int | None = None) -> None:
        self.settings = settings
        self.fd = fd
        super().__init__()

    def load_config(self) -> None:
        """Translate our settings to gunicorn's."""
        settings = self.settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        options = {
            "bind": f"{host}:{settings.port}" if self.fd is None else f"fd://{self.fd}",
            "workers": settings.web_processes,
            "worker_class": gevent_worker_class() if settings.worker_class == "gevent" else "gthread",
            "worker_connections": settings.web_connections,
            "threads": settings.web_threads if settings.worker_class == "gthread" else 1,
            "keepalive": KEEP_ALIVE_S,
            "timeout": HUNG_S,
            "graceful_timeout": math.ceil(settings.graceful_timeout_s),
            "worker_tmp_dir": SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None,
            "control_socket_disable": True,
            "logger_class": EventLogger,
            "loglevel": settings.log_level,
            "worker_exit": _close_application,
        }
        for name, value in options.items():
            if name in self.cfg.settings:  # older releases have no control socket to disable
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the application; runs in each process."""
        # By name, at this time: gevent must have patched the process before Flask and redis are imported.
        create_app = importlib.import_module("service.web.app").create_app
        try:
            return create_app(self.settings)
        except RepositoryError as error:
            log_event(log, logging.ERROR, "cannot serve the model repository", error=str(error))
            sys.exit(Arbiter.APP_LOAD_ERROR)


def _close_application(_master: Any, worker: Any) -> None:
    application = getattr(worker, "wsgi", None)
    context = getattr(application, "extensions", {}).get(EXTENSION)
    if context is not None:
        with contextlib.suppress(Exception):
            context.close()
