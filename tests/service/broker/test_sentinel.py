"""A failover behind Sentinel: a master that is killed, its replica promoted, no accepted job lost."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from service.broker import BrokerUnavailable, connect
from tests.service.conftest import RedisServer, server_binary
from tests.service.processes import free_port

from .answering import accepted, answering, until


@pytest.fixture
def new_sentinel(tmp_path: Path) -> Iterator[Callable[[int], str]]:
    """Starts a sentinel that watches the master on this port; its address."""
    started: list[subprocess.Popen[bytes]] = []

    def start(master_port: int) -> str:
        port = free_port()
        configuration = tmp_path / "sentinel.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
            f"sentinel monitor main 127.0.0.1 {master_port} 1\n"
            "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 3000\n"
        )
        started.append(subprocess.Popen([server_binary(), str(configuration), "--sentinel"], stdout=subprocess.DEVNULL))
        client = redis.Redis(port=port, protocol=2)

        def knows_the_replica() -> bool:
            try:
                return bool(client.sentinel_slaves("main"))
            except redis.exceptions.RedisError:
                return False

        until(knows_the_replica, 15)
        return f"127.0.0.1:{port}"

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_failover_loses_no_accepted_job(
    new_redis_server: Callable[..., RedisServer], new_sentinel, new_web, new_worker
) -> None:
    ports = free_port(), free_port()
    master = new_redis_server("--port", str(ports[0]), "--bind", "127.0.0.1")
    new_redis_server("--port", str(ports[1]), "--bind", "127.0.0.1", "--replicaof", "127.0.0.1", str(ports[0]))
    until(lambda: master.client.info("replication")["connected_slaves"] == 1, 15)
    url = f"redis+sentinel://{new_sentinel(ports[0])}/main"
    web, worker = new_web(connect(url)), new_worker(connect(url))
    waiting = [accepted(web.submit("digits", "1", b"%d" % i, deadline_s=30)) for i in range(10)]
    master.stop()
    began = time.monotonic()
    with answering(worker):
        assert [one.result() for one in waiting] == [b"answer to %d" % i for i in range(10)]

        def taken() -> object:
            try:
                return accepted(web.submit("digits", "1", b"new", deadline_s=20))
            except BrokerUnavailable:
                return None

        assert until(taken, 20).result() == b"answer to new"
    assert time.monotonic() - began < 20
