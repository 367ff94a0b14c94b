"""The queue servers of a deployment: one, or a master with a replica and a sentinel that watches them."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import redis

from service.embedded import find_binary
from tests.faults.programs import Program
from tests.service.conftest import RedisServer
from tests.service.processes import eventually, free_port

PERSISTENCE = ("--appendonly", "yes")
SERVICE = "main"  # what the sentinel calls the master
DOWN_AFTER_MS = 500
FAILOVER_TIMEOUT_MS = 3000
COVERED_WITHIN_S = 60.0


class SingleServer:
    """One server on a Unix socket.

    Args:
        kind: `embedded` (Valkey) or `redis-server`.
        persistent: whether it finds its data again after it was killed.
    """

    def __init__(self, kind: str, *, persistent: bool) -> None:
        self.persistent = persistent
        self._server = RedisServer(*(PERSISTENCE if persistent else ()), binary=find_binary(kind))

    @property
    def url(self) -> str:
        """For the service."""
        return self._server.url

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._server.socket

    def connect(self) -> redis.Redis:
        """A client of its own for whoever asks."""
        return redis.Redis(unix_socket_path=str(self.socket), protocol=2)

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        self._server.stop()

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        self._server.start()

    def end(self) -> None:
        """Kill it and delete what it left."""
        self._server.remove()


class WatchedServers:
    """A master and a replica on ports of loopback, and a sentinel that lets the replica take over.

    Args:
        kind: `embedded` (Valkey) or `redis-server`.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        binary = find_binary(kind)
        ports = free_port(), free_port()
        self._stack = contextlib.ExitStack()
        self._servers = {
            port: RedisServer(
                *("--port", str(port), "--bind", "127.0.0.1"),
                *(("--replicaof", "127.0.0.1", str(ports[0])) if port == ports[1] else ()),
                binary=binary,
            )
            for port in ports
        }
        for server in self._servers.values():
            self._stack.callback(server.remove)
        self._killed: int | None = None
        self._port = free_port()
        own = Path(tempfile.mkdtemp(dir=folder))
        configuration = own / "sentinel.conf"
        configuration.write_text(
            f"port {self._port}\nbind 127.0.0.1\ndir {own}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {ports[0]} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}\n"
        )
        self._sentinel = Program("sentinel", [binary, configuration, "--sentinel"], folder)
        self._stack.callback(self._sentinel.end)
        self._sentinel.start()
        self.wait_until_covered()

    @property
    def url(self) -> str:
        """For the service."""
        return f"redis+sentinel://127.0.0.1:{self._port}/{SERVICE}"

    def master_port(self) -> int:
        """Of the master, as the sentinel sees it."""
        with redis.Redis(port=self._port, protocol=2) as client:
            return int(client.sentinel_get_master_addr_by_name(SERVICE)[1])

    def connect(self) -> redis.Redis:
        """A client of the master of this moment."""
        return redis.Redis(port=self.master_port(), protocol=2)

    def kill_master(self) -> int:
        """Kill the master; its port."""
        port = self.master_port()
        self._servers[port].stop()
        self._killed = port
        return port

    def wait_for_another_than(self, port: int) -> None:
        """Wait until the replica has taken over from the master on this port."""
        eventually(lambda: self.master_port() != port, "the replica takes over")

    def cover(self) -> None:
        """Start the server that was killed last; the sentinel makes it follow the master of now. Takes a while."""
        if self._killed is not None:
            self._servers[self._killed].start()
            self._killed = None
        self.wait_until_covered()

    def wait_until_covered(self) -> None:
        """Wait until a replica follows the master, and the sentinel knows it."""
        eventually(self._is_covered, "the master has a replica that the sentinel knows", COVERED_WITHIN_S)

    def _is_covered(self) -> bool:
        try:
            with redis.Redis(port=self._port, protocol=2) as client, self.connect() as master:
                replicas = client.sentinel_slaves(SERVICE)
                healthy = [one for one in replicas if one["flags"] == "slave" and one["master-link-status"] == "ok"]
                return bool(healthy) and master.info("replication")["connected_slaves"] >= 1
        except redis.RedisError:
            return False

    def end(self) -> None:
        """Kill all three and delete what they left."""
        self._stack.close()
