"""The connections to Redis: one partition a server (or a hash tag on it), timeouts and pools in one place."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from . import keys, scripts
from .connections import Connections
from .exceptions import BrokerUnavailable, UnsuitableServer
from .pipeline import Pipeline
from .wire import ConnectionCut, Wire, pack, pack_script, script_head

logger = logging.getLogger(__name__)

TIMEOUT_S = 1.0
MAX_CONNECTIONS = 16
# After a failure nobody else waits for the same timeout: calls fail at once for so long.
PAUSE_AFTER_FAILURE_S = 0.1
OLDEST_SERVER = (6, 2)
SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")

# Answers of a server that is there, but cannot serve now.
_PASSING = (
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MISCONF",
    "NOREPLICAS",
    "BUSY",
    "LOADING",
    "UNBLOCKED",
)


class ServerFull(BrokerUnavailable):
    """The server's memory is at its limit: it takes nothing new, but can be drained."""


def connect(url: str, *, timeout_s: float = TIMEOUT_S) -> list["Partition"]:
    """The partitions that `url` names; nothing is connected before it is used.

    Args:
        url: one or several, separated by commas: `redis://[user:password@]host[:port][/db]`, `rediss://…`,
            `unix://path[?db=0]`, `redis+sentinel://[user:password@]host:port,host:port/service[/db]`. A parameter
            `partition=NAME` (default "p") sets the hash tag, so that one server can hold several partitions.
        timeout_s: for connecting and for each command.

    Raises:
        ValueError: where a URL cannot be understood, or two name the same partition.
    """
    urls = re.split(r",(?=[a-z+]+://)", url.strip())
    if len(set(urls)) != len(urls):
        raise ValueError(f"each partition may be named once; got {_shown(url)!r}")
    return [_partition(index, one.strip(), timeout_s) for index, one in enumerate(urls)]


def _partition(index: int, url: str, timeout_s: float) -> "Partition":
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"a Redis URL starts with one of {', '.join(s + '://' for s in SCHEMES)}; got {_shown(url)!r}")
    query = dict(parse_qsl(parts.query))
    tag = query.pop("partition", "p")
    url = urlunsplit(parts._replace(query=urlencode(query)))
    if parts.scheme == "unix":  # urlunsplit drops the empty host
        url = url.replace("unix:/", "unix:///", 1) if not url.startswith("unix://") else url
    make = _sentinel_factory(url) if parts.scheme == "redis+sentinel" else partial(_plain_client, url)
    try:
        return Partition(index, _shown(url), keys.prefix(tag), make, timeout_s)
    except ValueError as error:
        raise ValueError(f"{error}, in the Redis URL {_shown(url)!r}") from None


def _options(socket_timeout_s: float, timeout_s: float) -> dict[str, Any]:
    return {
        "socket_timeout": socket_timeout_s,
        "socket_connect_timeout": timeout_s,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }


def _plain_client(url: str, socket_timeout_s: float, timeout_s: float, connections: int) -> redis.Redis:
    options = _options(socket_timeout_s, timeout_s)
    if url.startswith("unix://"):
        del options["socket_keepalive"]
    pool = redis.BlockingConnectionPool.from_url(url, max_connections=connections, timeout=timeout_s, **options)
    return redis.Redis(connection_pool=pool)


def _sentinel_factory(url: str) -> Callable[[float, float, int], redis.Redis]:
    # urlsplit cannot read the port of several hosts, so they are taken apart here.
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    service, _, database = parts.path.strip("/").partition("/")
    try:
        sentinels = [(host, int(port or 26379)) for host, _, port in (one.rpartition(":") for one in hosts.split(","))]
        number = int(database or 0)
    except ValueError:
        sentinels = []
    if not service or not sentinels or not all(host for host, _ in sentinels):
        raise ValueError(
            f"expected redis+sentinel://[user:password@]host:port[,host:port…]/service[/db], got {_shown(url)!r}"
        )

    def make(socket_timeout_s: float, timeout_s: float, connections: int) -> redis.Redis:
        options = _options(socket_timeout_s, timeout_s)
        sentinel = Sentinel(sentinels, sentinel_kwargs=_options(timeout_s, timeout_s))
        client: redis.Redis = sentinel.master_for(
            service,
            db=number,
            username=unquote(user) or None,
            password=unquote(password) or None,
            max_connections=max(connections, 1024),  # this pool refuses instead of waiting
            **options,
        )
        return client

    return make


def _shown(url: str) -> str:
    """The URL without its password, for messages."""
    url = re.sub(r"//([^/@:]*):[^/@]*@", r"//\1:…@", url)
    return re.sub(r"password=[^&]*", "password=…", url)


class Partition:
    """One Redis connection and one hash tag: the unit in which queues scale out. Safe to use from many threads.

    Attributes:
        index: its place among the partitions of this process.
        name: its URL without password, for messages.
        start: of all its keys.
        pipeline: for commands that nobody waits for.
    """

    def __init__(
        self,
        index: int,
        name: str,
        start: str,
        make_client: Callable[[float, float, int], redis.Redis],
        timeout_s: float,
    ) -> None:
        self.index = index
        self.name = name
        self.start = start
        self._make_client = make_client
        self._timeout_s = timeout_s
        self._client = make_client(timeout_s, timeout_s, MAX_CONNECTIONS)
        pool = make_client(timeout_s, timeout_s, MAX_CONNECTIONS).connection_pool
        self._connections = Connections(pool, MAX_CONNECTIONS, timeout_s)
        self.pipeline = self.new_pipeline(timeout_s)
        self._checked = False
        self._paused_until = 0.0

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the script of that name; once more where the connection broke, since every script may be repeated.

        Raises:
            BrokerUnavailable: the server cannot be reached, or cannot serve now.
            ServerFull: it has no memory left for this.
        """
        loaded = scripts.load(script)
        packed = pack_script(script_head(loaded.digest, self.start), arguments)
        try:
            return self._guarded(lambda: self._connections.call_packed(packed))
        except redis.exceptions.NoScriptError:
            packed = pack(("EVAL", loaded.text, 1, self.start, *arguments))
            return self._guarded(lambda: self._connections.call_packed(packed))

    def new_pipeline(self, patience_s: float) -> Pipeline:
        """One with a connection of its own, on which the server owes no reply for longer than `patience_s` seconds."""
        pool = self._make_client(self._timeout_s, self._timeout_s, 1).connection_pool

        def open_wire() -> Wire:
            if not self._checked:
                self.check()
            return Wire(pool)

        return Pipeline(f"of {self.name}", open_wire, patience_s)

    @property
    def pause(self) -> BrokerUnavailable | None:
        """What to raise instead of trying, for a moment after a failure; None where it may be tried."""
        if time.monotonic() < self._paused_until:
            return BrokerUnavailable(f"{self.name} could not be reached a moment ago")
        return None

    def payloads(self, uuids: Sequence[str]) -> list[bytes | None]:
        """The payloads of these jobs, None for those that are gone; raises as `run`."""
        names = [f"{self.start}job:{uuid}" for uuid in uuids]
        return self._guarded(lambda: self._connections.call("MGET", *names))

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """`call`, once more where the connection broke; its errors as the broker's."""
        if pause := self.pause:
            raise pause
        try:
            if not self._checked:
                self.check()
            return call()
        except redis.exceptions.RedisError as error:
            if not isinstance(error, redis.exceptions.ConnectionError):
                raise self.translated(error) from error
        try:
            return call()
        except redis.exceptions.RedisError as error:
            raise self.translated(error) from error

    def translated(self, error: redis.exceptions.RedisError) -> Exception:
        """The broker's exception for one of the client library; itself where it is a fault of ours."""
        text = str(error)
        if isinstance(error, redis.exceptions.OutOfMemoryError) or "OOM command not allowed" in text:
            return ServerFull(f"{self.name} has no memory left: {text}")
        if isinstance(error, redis.exceptions.NoPermissionError | redis.exceptions.AuthenticationError):
            return UnsuitableServer(f"{self.name} refuses us: {text}")
        if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
            if not isinstance(error, ConnectionCut):
                self._paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
            return BrokerUnavailable(f"{self.name} cannot be reached: {text}")
        if isinstance(error, redis.exceptions.ReadOnlyError):
            # After a failover the old connections lead to a replica; new ones ask for the master again.
            self._client.connection_pool.disconnect()
            self._connections.drop_idle()
            self.pipeline.reset()
        if isinstance(error, redis.exceptions.ReadOnlyError | redis.exceptions.ClusterDownError) or text.startswith(
            _PASSING
        ):
            return BrokerUnavailable(f"{self.name} cannot serve now: {text}")
        return error

    def listening_client(self) -> redis.Redis:
        """A client with a connection of its own, for who keeps the time of commands that block."""
        return self._make_client(self._timeout_s, self._timeout_s, 1)

    def check(self) -> None:
        """See that the server is one to rely on; done at the first use, and by who wants to know at start-up.

        Raises:
            UnsuitableServer: it is older than 6.2, or may evict keys when its memory is full.
            BrokerUnavailable: it cannot be reached.
        """
        try:
            version = str(self._client.info("server")["redis_version"])
            settings = self._memory_settings()
        except redis.exceptions.RedisError as error:
            raise self.translated(error) from error
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
            raise UnsuitableServer(f"{self.name} is Redis {version}; Redis or Valkey 6.2 or later is needed")
        policy = settings.get("maxmemory-policy", "noeviction")
        if int(settings.get("maxmemory", 0)) > 0 and policy != "noeviction":
            raise UnsuitableServer(
                f"{self.name} would evict queued jobs when full: maxmemory-policy must be noeviction, it is {policy}"
            )
        self._checked = True

    def _memory_settings(self) -> dict[Any, Any]:
        try:
            return self._client.config_get("maxmemory*")
        except (redis.exceptions.ResponseError, redis.exceptions.NoPermissionError) as error:
            logger.warning("%s does not tell its maxmemory-policy (%s); it must be noeviction", self.name, error)
            return {}

    def close(self) -> None:
        """Close all connections, once what is on its way over the pipeline has been answered; this is the end of it."""
        self.pipeline.close()
        self._connections.close()
        self._client.close()
        self._client.connection_pool.disconnect()
