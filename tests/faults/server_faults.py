"""A queue server that is killed, replaced by its replica, filled up, and a network between it and the service."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import redis

from tests.faults.deployment import Deployment
from tests.faults.faults import Fault
from tests.faults.proxy import Proxy
from tests.faults.queue_server import DOWN_AFTER_MS, SingleServer, WatchedServers
from tests.service.processes import eventually

LEAST_MEMORY, NO_LIMIT = 1, 0  # bytes, of maxmemory


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


class ServerRestarted(Fault):
    """`kill -9` of the queue server, and its start a while later, with its data or without, as its layout says.

    Args:
        away_s: seconds in between.
    """

    aftermath_s = 2.0
    hurts = True

    def __init__(self, every_s: float, *, away_s: float = 1.0, first_s: float | None = None) -> None:
        super().__init__(every_s, first_s=first_s)
        self._away_s = away_s

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        server = deployment.server
        assert isinstance(server, SingleServer), "the layout has one server of its own"
        server.kill()
        _pause(self._away_s)
        if not server.persistent:
            deployment.lives.append(time.monotonic())
        server.start()


class FailedOver(Fault):
    """`kill -9` of the master; the sentinel has its replica take over. Before the next time it gets a new replica."""

    aftermath_s = 3.0
    hurts = True

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        servers = deployment.server
        assert isinstance(servers, WatchedServers), "the layout has a sentinel"
        servers.cover()
        port = servers.kill_master()
        # What the replica had not got yet is gone; it does not take over before it has missed the master for a while.
        deployment.lives.append(time.monotonic() + DOWN_AFTER_MS / 2000)
        servers.wait_for_another_than(port)


class ConnectionsKilled(Fault):
    """`CLIENT KILL` of every connection to the queue server."""

    aftermath_s = 0.3
    hurts = True

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        _done(deployment, lambda client: client.client_kill_filter(_type="normal", skipme=True))


class ServerFull(Fault):
    """The queue server's memory is at its limit under `noeviction`: it takes nothing new, and must go on draining.

    Args:
        full_s: seconds until the limit is lifted.
    """

    aftermath_s = 1.0
    hurts = True

    def __init__(self, every_s: float, *, full_s: float = 2.0, first_s: float | None = None) -> None:
        super().__init__(every_s, first_s=first_s)
        self._full_s = full_s

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        _set_memory(deployment, LEAST_MEMORY)
        _pause(self._full_s)
        _set_memory(deployment, NO_LIMIT)


def _set_memory(deployment: Deployment, most: int) -> None:
    eventually(lambda: _done(deployment, lambda client: client.config_set("maxmemory", most)), f"maxmemory is {most}")


def _done(deployment: Deployment, action: Callable[[redis.Redis], object]) -> bool:
    """Do it with a client of the queue server; False where another fault came in between."""
    try:
        with deployment.connect() as client:
            action(client)
    except (redis.RedisError, OSError):
        return False
    return True


class _ProxyFault(Fault):
    """Something that the proxy before the queue server does for a while.

    Args:
        lasts_s: seconds.
    """

    aftermath_s = 2.0
    hurts = True

    def __init__(self, every_s: float, *, lasts_s: float, first_s: float | None = None) -> None:
        super().__init__(every_s, first_s=first_s)
        self._lasts_s = lasts_s

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        assert deployment.proxy is not None, "the layout has a proxy"
        self.begin(deployment.proxy)
        _pause(self._lasts_s)
        self.end(deployment.proxy)

    def begin(self, proxy: Proxy) -> None:
        """Make it do it."""

    def end(self, proxy: Proxy) -> None:
        """Make it stop."""


class RepliesDelayed(_ProxyFault):
    """Every reply of the queue server comes late, by a tenth of a second."""

    hurts = False

    def begin(self, proxy: Proxy) -> None:
        proxy.delay_s = 0.1

    def end(self, proxy: Proxy) -> None:
        proxy.delay_s = 0.0


class RepliesLost(_ProxyFault):
    """Commands are carried out, their replies thrown away and their connections cut."""

    def begin(self, proxy: Proxy) -> None:
        proxy.losing = True

    def end(self, proxy: Proxy) -> None:
        proxy.losing = False


class RepliesSilent(_ProxyFault):
    """Commands are carried out and nothing comes back, as through a network that has gone."""

    def begin(self, proxy: Proxy) -> None:
        proxy.silent = True

    def end(self, proxy: Proxy) -> None:
        proxy.silent = False
        proxy.cut()


class ConnectionsCut(_ProxyFault):
    """Every connection to the queue server ends at once."""

    aftermath_s = 0.3

    def begin(self, proxy: Proxy) -> None:
        proxy.cut()
