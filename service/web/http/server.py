"""The HTTP server of one process: hands each connection its environment, and ends those that take too long."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from wsgiref.types import WSGIApplication

from service.web.http.connection import PATIENCE, Connection, Patience
from service.web.http.head import environ_key
from service.web.http.response import SERVER

# How often `sweep` is to be called: the bounds on waiting are this coarse.
SWEEP_S = 0.5


class HttpServer:
    """What the connections of one process have in common.

    Args:
        application: The WSGI application.
        is_stopping: Whether the process is to end: then an answer is the last one of its connection.
        multiprocess: Whether other processes serve the same application.
        trusted_proxies: Addresses and networks of peers that may say that their client came by HTTPS; `*` is all.
            Peers on Unix sockets are trusted.
        secure_scheme_fields: The fields by which they say so, and the value of each; X-Forwarded-Proto by default.
        patience: How long clients are waited for.
    """

    def __init__(
        self,
        application: WSGIApplication,
        is_stopping: Callable[[], bool],
        *,
        multiprocess: bool = False,
        trusted_proxies: Iterable[str] = ("127.0.0.1", "::1"),
        secure_scheme_fields: Mapping[str, str] | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        self._application = application
        self._is_stopping = is_stopping
        self._patience = patience
        proxies = set(filter(None, trusted_proxies))
        self._trusts_all = "*" in proxies
        self._trusted = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies - {"*"}]
        self._scheme_fields = {
            environ_key(name): value for name, value in (secure_scheme_fields or {"X-Forwarded-Proto": "https"}).items()
        }
        self._connections: set[Connection] = set()
        self._environ: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "SERVER_SOFTWARE": SERVER,
            "SCRIPT_NAME": "",
        }

    def handle(self, client: socket.socket, peer: Any, listener_name: Any, wait_readable: Callable[[], object]) -> None:
        """Serve a connection to its end, and close it.

        Args:
            client: The connected socket.
            peer: Its address, as `accept` gave it.
            listener_name: The address of the socket that accepted it.
            wait_readable: Returns when `client` can be read.
        """
        by_tcp = isinstance(peer, tuple)
        environ = {
            **self._environ,
            "SERVER_NAME": listener_name[0] if by_tcp else "localhost",
            "SERVER_PORT": str(listener_name[1]) if by_tcp else "80",
            "REMOTE_ADDR": peer[0] if by_tcp else "",
            "gunicorn.socket": client,  # under the name that gunicorn's own workers give it
        }
        if by_tcp:
            environ["REMOTE_PORT"] = str(peer[1])
        scheme_fields = self._scheme_fields if not by_tcp or self._trusts(peer[0]) else {}
        connection = Connection(
            client, environ, scheme_fields, self._application, self._is_stopping, wait_readable, self._patience
        )
        self._connections.add(connection)
        try:
            connection.serve()
        finally:
            self._connections.discard(connection)

    def sweep(self) -> None:
        """End the waits that take too long, and while stopping all idle connections; call it every SWEEP_S seconds."""
        stopping = self._is_stopping()
        for connection in list(self._connections):
            connection.expire(stopping)

    def _trusts(self, host: str) -> bool:
        if self._trusts_all:
            return True
        address = ipaddress.ip_address(host.partition("%")[0])
        return any(address in network for network in self._trusted)
