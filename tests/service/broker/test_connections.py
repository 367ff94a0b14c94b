"""Connections of the hot path: kept open, given up when they broke, never mixing up answers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.broker.connections import Connections
from tests.service.conftest import RedisServer

from .answering import until


def connections_to(server: RedisServer, most: int = 2, patience_s: float = 0.05) -> Connections:
    client = redis.Redis(unix_socket_path=str(server.socket), protocol=2, retry=Retry(NoBackoff(), 0))
    return Connections(client.connection_pool, most, patience_s)


def open_connections(server: RedisServer) -> int:
    return int(server.client.info("clients")["connected_clients"])


def test_one_connection_serves_one_caller_again_and_again(redis_server: RedisServer) -> None:
    connections = connections_to(redis_server)
    connections.call("PING")
    before = open_connections(redis_server)
    for number in range(20):
        assert connections.call("ECHO", number) == b"%d" % number
    assert open_connections(redis_server) == before
    connections.close()


def test_an_error_from_the_server_leaves_the_connection_in_use(redis_server: RedisServer) -> None:
    connections = connections_to(redis_server)
    connections.call("PING")
    before = redis_server.client.info("stats")["total_connections_received"]
    with pytest.raises(redis.exceptions.ResponseError):
        connections.call("HGET", "too few")
    assert connections.call("ECHO", "still in step") == b"still in step"
    assert redis_server.client.info("stats")["total_connections_received"] == before
    connections.close()


def test_after_a_restart_one_call_fails_and_the_next_one_works(
    new_redis_server: Callable[..., RedisServer],
) -> None:
    server = new_redis_server()
    connections = connections_to(server)
    connections.call("PING")
    server.stop()
    server.start()
    with pytest.raises(redis.exceptions.ConnectionError):
        connections.call("PING")
    assert connections.call("ECHO", "back") == b"back"
    connections.close()


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(redis_server: RedisServer) -> None:
    client = redis.Redis(unix_socket_path=str(redis_server.socket), protocol=2, socket_timeout=0.05)
    connections = Connections(client.connection_pool, 1, 1.0)
    with pytest.raises(redis.exceptions.TimeoutError):
        connections.call("BLPOP", "nothing there", 0.2)
    assert connections.call("ECHO", "mine") == b"mine"
    connections.close()


def test_more_callers_than_connections_wait_for_one_and_are_refused_after_a_while(redis_server: RedisServer) -> None:
    connections = connections_to(redis_server, most=1, patience_s=0.2)
    with ThreadPoolExecutor(1) as pool:
        for blocked_s, fits in ((0.1, True), (0.5, False)):
            blocked = pool.submit(connections.call, "BLPOP", "nothing there", blocked_s)
            until(lambda: redis_server.client.info("clients")["blocked_clients"])
            if fits:
                assert connections.call("PING") == b"PONG"
            else:
                with pytest.raises(redis.exceptions.ConnectionError, match="in use"):
                    connections.call("PING")
            assert blocked.result() is None
    assert connections.call("PING") == b"PONG"
    connections.close()


def test_connections_that_broke_make_room_for_new_ones(new_redis_server: Callable[..., RedisServer]) -> None:
    server = new_redis_server()
    connections = connections_to(server, most=2)
    for _ in range(3):
        assert connections.call("PING") == b"PONG"
        server.stop()
        for _ in range(3):
            with pytest.raises(redis.exceptions.ConnectionError):
                connections.call("PING")
        server.start()
    assert connections.call("PING") == b"PONG"
    connections.close()


def test_a_large_command_and_a_large_answer_pass_whole(redis_server: RedisServer) -> None:
    connections = connections_to(redis_server)
    for size in (1, 65_535, 65_536, 65_537, 3_000_000):
        assert connections.call("ECHO", b"x" * size) == b"x" * size
    connections.close()
