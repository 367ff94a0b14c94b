"""The harness itself: what it is to find, it finds."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.broker.keys import prefix
from tests.faults.behaviour import Behaviour, Marker
from tests.faults.growth import Allowance, grown, usages
from tests.faults.leftovers import faulty_keys
from tests.faults.proxy import Proxy
from tests.faults.worklog import Work, WorkLog
from tests.service.conftest import RedisServer
from tests.service.processes import eventually


def test_keys_that_stay_for_ever_and_keys_of_nobody_are_found(redis_server: RedisServer) -> None:
    start = prefix("p")
    redis_server.client.set(f"{start}job:a", b"", px=60_000)
    redis_server.client.set(f"{start}job:b", b"")
    redis_server.client.set(f"{start}unheard", b"", px=60_000)
    assert faulty_keys(redis_server.client) == {
        f"{start}job:b (string) has no time to live",
        f"{start}unheard (string) is not in the map of the keys",
    }


def test_two_accepted_finishes_are_found_unless_the_server_lost_its_data_between_them(tmp_path: Path) -> None:
    log = WorkLog(tmp_path)
    log.write("finished", uuids=["a", "b"], accepted=2, refused=None)
    between = time.monotonic()
    log.write("finished", uuids=["a", "c"], accepted=1, refused=["c"])
    work = Work.read(tmp_path)
    assert work.accepted_twice() == ["a"]
    assert work.accepted_twice([between]) == []
    assert work.refused() == 1


def test_what_a_process_held_when_it_died_is_known(tmp_path: Path) -> None:
    log = WorkLog(tmp_path)
    log.write("claimed", batch="1", jobs={"a": 1, "b": 2})
    log.write("claimed", batch="1", jobs={"a": 1, "b": 2})
    log.write("finished", uuids=["a"], accepted=1, refused=[])
    work = Work.read(tmp_path)
    assert [claim.number for claim in work.held(os.getpid(), time.monotonic())] == [2]
    assert work.attempts() == {1: 1, 2: 1}, "a claim that is repeated counts once"


def test_growth_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.growth.SETTLED_WITHIN_S", 0.2)
    before = usages([os.getpid()])
    assert grown(before, lambda pid: "this", Allowance()) == []
    sockets = [socket.socket() for _ in range(40)]
    try:
        [found] = grown(before, lambda pid: "this", Allowance(descriptors=10))
    finally:
        for one in sockets:
            one.close()
    assert "descriptors grew" in found


def client_through(proxy: Proxy, timeout_s: float = 5.0) -> redis.Redis:
    """One that tries nothing twice, connected."""
    client = redis.Redis(port=proxy.port, protocol=2, socket_timeout=timeout_s, retry=Retry(NoBackoff(), 0))
    assert client.ping()
    return client


def test_the_proxy_delays_replies(redis_server: RedisServer) -> None:
    with Proxy(redis_server.socket) as proxy:
        client = client_through(proxy)
        proxy.delay_s = 0.1
        began = time.monotonic()
        assert client.ping()
        assert time.monotonic() - began >= 0.1


def test_the_proxy_loses_replies_to_commands_that_were_carried_out(redis_server: RedisServer) -> None:
    with Proxy(redis_server.socket) as proxy:
        client, hasty = client_through(proxy), client_through(proxy, timeout_s=0.2)
        proxy.losing = True
        with pytest.raises(redis.ConnectionError):
            client.set("lost", 1)
        proxy.losing, proxy.silent = False, True
        with pytest.raises(redis.TimeoutError):
            hasty.set("silent", 1)
        assert redis_server.client.mget("lost", "silent") == [b"1", b"1"]
        proxy.silent = False
        assert client.ping(), "a new connection serves again"


def test_the_proxy_cuts_connections(redis_server: RedisServer) -> None:
    with Proxy(redis_server.socket) as proxy:
        client = client_through(proxy)
        connections = proxy.connections
        proxy.cut()
        eventually(lambda: _answers(client) and proxy.connections == connections + 1, "another connection is made")


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_numbers_carry_markers() -> None:
    assert Marker.of(0) is None
    assert Marker.of(Marker.RAISES.number(0) - 1) is None
    assert [Marker.of(marker.number(7)) for marker in Marker] == list(Marker)
    assert Marker.of(2**24 - 1) is None


def test_behaviour_travels_by_environment(tmp_path: Path) -> None:
    behaviour = Behaviour(tmp_path, batch_s=0.5, wrong_every=3)
    assert Behaviour.load(behaviour.to_environ()) == behaviour
