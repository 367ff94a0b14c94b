"""gunicorn around the application: processes, worker classes, logging, graceful stop."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import logging
import math
import os
import sys
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from service.repository import RepositoryError
from service.settings import Settings
from service.telemetry import log_event
from service.web import EXTENSION
from service.web.http.connection import PATIENCE
from service.web.http.server import SWEEP_S, HttpServer
from service.web.memory import keep_freed_memory
from service.web.unread import UnreadBodies

# A process whose loop stands still this long is replaced.
HUNG_S = 60
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
    """Return gunicorn's gevent worker, changed to speak HTTP by `service.web.http`."""
    import gevent
    from gunicorn.workers.ggevent import GeventWorker

    class HttpWorker(GeventWorker):
        """Ends once the requests in flight are answered, rather than when idle clients hang up."""

        patience = PATIENCE
        http: HttpServer
        alive: bool

        def run(self) -> None:
            # Now: a connection may be handled after the socket that accepted it was closed.
            self.listener_names = {listener: listener.getsockname() for listener in self.sockets}
            self.http = HttpServer(
                self.wsgi,
                lambda: not self.alive,
                multiprocess=self.cfg.workers > 1,
                trusted_proxies=self.cfg.forwarded_allow_ips,
                secure_scheme_fields=self.cfg.secure_scheme_headers,
                patience=self.patience,
            )
            gc.freeze()  # what is loaded by now stays: no collection need go through it
            gevent.spawn(self._sweep)
            super().run()

        def handle(self, listener: Any, client: Any, address: Any) -> None:
            hub = gevent.get_hub()
            readable = hub.loop.io(client.fileno(), 1)
            try:
                self.http.handle(client, address, self.listener_names[listener], functools.partial(hub.wait, readable))
            finally:
                readable.close()

        def notify(self) -> None:
            if self.ppid == os.getppid():
                super().notify()
            elif self.alive:  # the master was killed; its clients were not
                log_event(log, logging.WARNING, "the master is gone, finishing what is in flight")
                self.alive = False

        def _sweep(self) -> None:
            while True:
                gevent.sleep(SWEEP_S if self.alive else 0.1)
                self.http.sweep()

    return HttpWorker


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
            "keepalive": int(PATIENCE.keep_alive_s),
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
        keep_freed_memory()
        # By name, at this time: gevent must have patched the process before Flask and redis are imported.
        create_app = importlib.import_module("service.web.app").create_app
        try:
            application = create_app(self.settings)
        except RepositoryError as error:
            log_event(log, logging.ERROR, "cannot serve the model repository", error=str(error))
            sys.exit(Arbiter.APP_LOAD_ERROR)
        if self.settings.worker_class != "gevent":
            application.wsgi_app = UnreadBodies(application.wsgi_app)
        return application


def _close_application(_master: Any, worker: Any) -> None:
    application = getattr(worker, "wsgi", None)
    context = getattr(application, "extensions", {}).get(EXTENSION)
    if context is not None:
        with contextlib.suppress(Exception):
            context.close()
