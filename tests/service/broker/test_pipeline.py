"""A pipeline: replies in order, nobody blocked, and an end for everybody when the connection breaks or falls silent."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from service.broker import connect
from service.broker.pipeline import Pipeline
from service.broker.wire import pack
from tests.service.conftest import RedisServer

from .answering import until

LARGE = b"x" * 300_000


@pytest.fixture
def new_pipeline() -> Iterator[Callable[..., Pipeline]]:
    """Makes pipelines that are closed in the end."""
    made: list[Pipeline] = []

    def make(server: RedisServer, patience_s: float = 1.0) -> Pipeline:
        made.append(connect(server.url)[0].new_pipeline(patience_s))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.close(at_once=True)


@contextmanager
def stopped(server: RedisServer) -> Iterator[None]:
    """The server neither reads nor answers meanwhile."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_replies_come_in_the_order_of_the_commands(redis_server, new_pipeline) -> None:
    pipeline = new_pipeline(redis_server)
    heard: list[bytes] = []
    for number in range(500):
        pipeline.send(pack(("ECHO", number)), heard.append)
    until(lambda: len(heard) == 500)
    assert heard == [b"%d" % number for number in range(500)]


def test_commands_of_many_threads_do_not_mix(redis_server, new_pipeline) -> None:
    pipeline = new_pipeline(redis_server)
    heard: dict[bytes, bytes] = {}

    def send(start: int) -> None:
        for number in range(start, start + 100):
            text = b"%d " % number + LARGE[: 7 * number]
            pipeline.send(pack(("ECHO", text)), lambda reply, text=text: heard.__setitem__(text, reply))

    threads = [threading.Thread(target=send, args=(start,)) for start in range(0, 800, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(heard) == 800)
    assert all(text == reply for text, reply in heard.items())


@pytest.mark.alone
def test_what_the_socket_does_not_take_at_once_blocks_nobody_and_arrives(redis_server, new_pipeline) -> None:
    pipeline = new_pipeline(redis_server, 5.0)
    heard: list[object] = []
    pipeline.send(pack(("PING",)), heard.append)
    until(lambda: heard)
    heard.clear()
    with stopped(redis_server):
        began = time.monotonic()
        for _ in range(40):
            pipeline.send(pack(("ECHO", LARGE)), heard.append)
        pipeline.send(pack(("ECHO", "last")), heard.append)
        assert time.monotonic() - began < 1
        assert not heard
    until(lambda: len(heard) == 41)
    assert heard == [LARGE] * 40 + [b"last"]


def test_errors_are_replies_like_others(redis_server, new_pipeline) -> None:
    pipeline = new_pipeline(redis_server)
    heard: list[object] = []
    pipeline.send(pack(("HGET", "too few")), heard.append)
    pipeline.send(pack(("EVALSHA", "0" * 40, 0)), heard.append)
    pipeline.send(pack(("ECHO", "next")), heard.append)
    until(lambda: len(heard) == 3)
    assert isinstance(heard[0], redis.exceptions.ResponseError)
    assert isinstance(heard[1], redis.exceptions.NoScriptError)
    assert heard[2] == b"next"


def test_a_handler_that_fails_does_not_keep_the_replies_of_others(redis_server, new_pipeline, caplog) -> None:
    pipeline = new_pipeline(redis_server)
    heard: list[object] = []
    pipeline.send(pack(("PING",)), lambda _: 1 / 0)
    pipeline.send(pack(("ECHO", "next")), heard.append)
    until(lambda: heard == [b"next"])
    assert "could not be dealt with" in caplog.text


def test_a_connection_that_breaks_ends_all_that_is_outstanding_and_the_next_command_makes_another(
    redis_server, new_pipeline
) -> None:
    pipeline = new_pipeline(redis_server)
    heard: list[object] = []
    for _ in range(3):
        pipeline.send(pack(("BLPOP", "nothing there", 0)), heard.append)
    until(lambda: redis_server.client.info("clients")["blocked_clients"] == 1)
    redis_server.client.client_kill_filter(_type="normal", skipme=True)
    until(lambda: len(heard) == 3)
    assert all(isinstance(reply, redis.exceptions.ConnectionError) for reply in heard)
    pipeline.send(pack(("ECHO", "again")), heard.append)
    until(lambda: heard[3:] == [b"again"])


@pytest.mark.alone
def test_a_server_that_keeps_silent_is_given_up_after_its_time_and_not_before(redis_server, new_pipeline) -> None:
    pipeline = new_pipeline(redis_server, 0.3)
    heard: list[object] = []
    pipeline.send(pack(("BLPOP", "nothing there", 0)), heard.append)
    began = time.monotonic()

    def ended() -> bool:
        pipeline.look(time.monotonic())
        return bool(heard)

    until(ended)
    assert 0.3 < time.monotonic() - began < 0.6
    assert isinstance(heard[0], redis.exceptions.TimeoutError)


def test_a_process_that_stood_still_does_not_blame_the_server(redis_server, new_pipeline) -> None:
    pipeline = new_pipeline(redis_server, 0.3)
    heard: list[object] = []
    pipeline.send(pack(("BLPOP", "there soon", 0)), heard.append)
    pipeline.look(100.0)
    pipeline.look(200.0)
    redis_server.client.rpush("there soon", "1")
    until(lambda: heard)
    assert heard == [[b"there soon", b"1"]]


def test_a_server_that_is_away_fails_each_command(new_redis_server, new_pipeline) -> None:
    server = new_redis_server()
    server.stop()
    pipeline = new_pipeline(server)
    heard: list[object] = []
    for expected in (1, 2):
        pipeline.send(pack(("PING",)), heard.append)
        until(lambda expected=expected: len(heard) == expected)
    assert all(isinstance(reply, Exception) for reply in heard)
    server.start()
    pipeline.send(pack(("ECHO", "back")), heard.append)
    until(lambda: heard[2:] == [b"back"])


def test_closing_waits_for_what_is_on_its_way_and_later_commands_fail(redis_server, new_pipeline) -> None:
    pipeline = new_pipeline(redis_server)
    heard: list[object] = []
    for number in range(100):
        pipeline.send(pack(("ECHO", number)), heard.append)
    pipeline.close()
    assert len(heard) == 100
    assert not any(isinstance(reply, Exception) for reply in heard)
    pipeline.send(pack(("PING",)), heard.append)
    assert isinstance(heard[-1], redis.exceptions.ConnectionError)


def test_a_pipeline_that_was_closed_leaves_no_connection_and_no_thread(redis_server, new_pipeline) -> None:
    redis_server.client.ping()
    threads, connections = threading.active_count(), redis_server.client.info("clients")["connected_clients"]
    pipeline = new_pipeline(redis_server)
    pipeline.send(pack(("PING",)), lambda _: None)
    pipeline.close()
    assert threading.active_count() == threads
    until(lambda: redis_server.client.info("clients")["connected_clients"] <= connections + 1)  # that of the check
