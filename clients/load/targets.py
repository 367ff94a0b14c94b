"""Where requests go: URLs, resolved once."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

_PROBE_S = 2.0


@dataclass(frozen=True)
class Target:
    """One address of the service.

    Attributes:
        url: As given.
        host: An address, or the path of a Unix socket.
        port: TCP port; 0 for a Unix socket.
        start: The request line and the `Host` header.
        tls: How connections are encrypted; None: not at all.
        server_name: Whose certificate is expected; None without TLS.
    """

    url: str
    host: str
    port: int
    start: bytes
    tls: ssl.SSLContext | None = None
    server_name: str | None = None

    @classmethod
    def of(cls, url: str) -> Target:
        """Resolve `http://…`, `https://…` or `unix:/path/of/socket`; where no path is given it is `/predict`.

        Raises:
            ValueError: it is no such URL, or its host has no address.
        """
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return cls(url, parts.path, 0, _start("/predict", "localhost"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"expected http://HOST…, https://HOST… or unix:/PATH, got {url!r}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        path = parts.path if parts.path not in ("", "/") else "/predict"
        if parts.query:
            path += "?" + parts.query
        encrypted = parts.scheme == "https"
        return cls(
            url,
            _address(parts.hostname, port),
            port,
            _start(path, parts.netloc.rpartition("@")[2]),
            ssl.create_default_context() if encrypted else None,
            parts.hostname if encrypted else None,
        )


def _start(path: str, host: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: {host}\r\n".encode()


def _address(host: str, port: int) -> str:
    """Return the first address of a host that takes a connection, else its first one."""
    try:
        found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError as error:
        raise ValueError(f"{host!r} has no address: {error}") from error
    if len(found) > 1:  # "localhost" may be ::1 first, where nobody listens
        for address in found:
            try:
                socket.create_connection((address, port), _PROBE_S).close()
            except OSError:
                continue
            return address
    return found[0]
