"""Our HTTP server and clients that are slow, idle, in the way, or more than it takes; and its end."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.service.processes import eventually
from tests.service.web.odd_application import LARGE, PATIENCE
from tests.service.web.odd_server import CHUNKED, CLOSE, OddServer, answers, get, post, received, serving


def test_a_head_that_does_not_arrive_is_given_up_however_it_drips(odd_server: OddServer) -> None:
    with odd_server.connect() as connection:
        connection.settimeout(0.05)
        started, answer = time.monotonic(), b""
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        while not answer and time.monotonic() - started < 10:
            connection.sendall(b"y")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(10_000)
        assert PATIENCE.head_s <= time.monotonic() - started < PATIENCE.head_s + 3
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"upload_stalled" in answer


def test_idle_connections_end_and_used_ones_stay(odd_server: OddServer) -> None:
    with odd_server.connect() as idle, odd_server.connect() as used, odd_server.connect() as silent:
        idle.sendall(get(b"/size"))
        started = time.monotonic()
        assert idle.recv(1000)
        while time.monotonic() - started < PATIENCE.keep_alive_s + 1:
            used.sendall(get(b"/late?0.1"))
            assert used.recv(1000).startswith(b"HTTP/1.1 200")
        assert idle.recv(1000) == b""
        assert silent.recv(1000) == b""
        used.sendall(get(b"/size"))
        assert used.recv(1000)


def test_a_client_that_reads_nothing_is_dropped(odd_server: OddServer) -> None:
    before = len(odd_server.lines)
    with odd_server.connect() as connection:
        connection.sendall(get(b"/large"))
        [line] = eventually(lambda: odd_server.lines[before:], "it is dropped")
        assert line["event"] == "client reads nothing"
        with pytest.raises(ConnectionResetError):
            received(connection)


def test_a_large_answer_reaches_a_client_that_reads_slowly(odd_server: OddServer) -> None:
    with odd_server.connect() as connection:
        connection.sendall(get(b"/large", CLOSE))
        started, count = time.monotonic(), 0
        while time.monotonic() - started < PATIENCE.stall_s + 0.5:  # longer than one that reads nothing has
            count += len(connection.recv(100_000))
            time.sleep(0.02)
        while part := connection.recv(1_000_000):
            count += len(part)
    assert LARGE < count < LARGE + 1000


@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_large_bodies_arrive_whole_and_others_are_served_meanwhile(odd_server: OddServer, chunked: bool) -> None:
    body = bytes(range(256)) * 100_000
    request = post(b"/size", body, CLOSE)
    if chunked:
        chunks = [b"%x\r\n%b\r\n" % (50_000, body[i : i + 50_000]) for i in range(0, len(body), 50_000)]
        request = get(b"/size", CHUNKED, CLOSE, method=b"POST") + b"".join(chunks) + b"0\r\n\r\n"
    with ThreadPoolExecutor(1) as pool, odd_server.connect() as connection:
        connection.sendall(request[:1000])
        assert odd_server.exchange(get(b"/size", CLOSE)).startswith(b"HTTP/1.1 200")
        sending = pool.submit(connection.sendall, request[1000:])
        assert received(connection).endswith(b"\r\n\r\n%d" % len(body))
        sending.result()


def test_bodies_that_nobody_reads_do_not_end_the_connection(odd_server: OddServer) -> None:
    large = post(b"/unread", b"x" * 5_000_000)
    chunked = get(b"/unread", CHUNKED, method=b"POST") + b"5\r\nhello\r\n" * 1000 + b"0\r\n\r\n"
    data = odd_server.exchange(large + chunked + get(b"/size", CLOSE))
    assert [body for _, _, body in answers(data, "POST", "POST", "GET")] == [b"unread", b"unread", b"0"]


def test_the_application_answers_before_the_body_has_come(odd_server: OddServer) -> None:
    with odd_server.connect() as connection:
        connection.sendall(post(b"/unread", b"x" * 100)[:-100])
        assert connection.recv(1000).endswith(b"\r\n\r\nunread")
        started = time.monotonic()
        assert connection.recv(1000) == b""  # and does not wait for it for long
        assert time.monotonic() - started < PATIENCE.discard_s + 3


def test_a_last_answer_arrives_whole_though_more_was_sent_than_is_read(odd_server: OddServer) -> None:
    with odd_server.connect() as connection:
        connection.sendall(get(b"/large", CLOSE))
        assert connection.recv(1, socket.MSG_PEEK)  # it is being answered
        connection.sendall(get(b"/size"))
        assert len(received(connection).partition(b"\r\n\r\n")[2]) == LARGE


def test_a_body_that_the_application_cannot_read_is_not_its_failure(odd_server: OddServer) -> None:
    before = len(odd_server.lines)
    malformed = odd_server.exchange(get(b"/size", CHUNKED, method=b"POST") + b"zz\r\n")
    stalled = odd_server.exchange(post(b"/size", b"x" * 10)[:-5])
    with odd_server.connect() as leaving:
        leaving.sendall(post(b"/size", b"x" * 10)[:-5])
        leaving.shutdown(socket.SHUT_WR)
        assert received(leaving) == b""
    codes = [json.loads(body)["error"]["code"] for _, _, body in answers(malformed + stalled, "POST", "POST")]
    assert codes == ["bad_request", "upload_stalled"]
    assert [line["status"] for line in odd_server.lines[before:]] == [400, 408]


def test_stopping_ends_idle_connections_and_answers_the_others_as_their_last(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.connect() as idle, server.connect() as busy, server.connect() as coming:
        idle.sendall(get(b"/size"))
        assert idle.recv(1000)
        busy.sendall(get(b"/late?1.5"))
        coming.sendall(get(b"/late?0.3"))
        time.sleep(PATIENCE.settled_s)  # what is to be seen as idle has to be so for that long
        server.process.process.terminate()
        assert received(coming).startswith(b"HTTP/1.1 200")
        assert idle.recv(1000) == b""
        answer = received(busy)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"Connection: close" in answer
        assert server.process.wait() == 0


def test_connections_beyond_the_bound_wait_until_one_ends(tmp_path: Path) -> None:
    with serving(tmp_path, web_connections=2) as server, server.connect() as first, server.connect() as second:
        for connection in (first, second):
            connection.sendall(get(b"/size"))
            assert connection.recv(1000)
        with server.connect() as third:
            third.sendall(get(b"/size"))
            third.settimeout(0.3)
            with pytest.raises(TimeoutError):
                third.recv(1000)
            second.close()
            third.settimeout(20)
            assert third.recv(1000).startswith(b"HTTP/1.1 200")
