"""Our HTTP server in a real gunicorn worker: raw bytes in, raw bytes out."""

from __future__ import annotations

import json

import pytest

from tests.service.web.odd_application import LARGE
from tests.service.web.odd_server import CHUNKED, CLOSE, HOST, OddServer, answers, get, post, received


def test_the_environment_is_that_of_pep_3333(odd_server: OddServer) -> None:
    request = post(
        b"/a%20b/%C3%A9?q=%20&r",
        b"body",
        b"Content-Type: text/plain",
        b"Accept: a",
        b"ACCEPT:\tb \t",
        b"X-Real-Ip: 1",
        b"X_Real_Ip: 2",
        b"X-Name: caf\xe9",
        CLOSE,
    )
    [(status, fields, body)] = answers(odd_server.exchange(request), "POST")
    environ = json.loads(body)["environ"]
    assert status == 200
    assert json.loads(body)["body"] == "body"
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/Ã©",
        "QUERY_STRING": "q=%20&r",
        "REQUEST_URI": "/a%20b/%C3%A9?q=%20&r",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(odd_server.port),
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "4",
        "HTTP_HOST": "x",
        "HTTP_ACCEPT": "a,b",
        "HTTP_X_REAL_IP": "1",
        "HTTP_X_NAME": "caf\xe9",
        "wsgi.url_scheme": "http",
    }
    assert {name: environ.get(name) for name in expected} == expected
    assert {"Date", "Server"} <= fields.keys()
    assert fields["Connection"] == "close"


def test_the_checker_of_the_standard_library_has_no_complaints(odd_server: OddServer) -> None:
    [(status, _, body)] = answers(odd_server.exchange(post(b"/valid", b"abc", CLOSE)), "POST")
    assert (status, body) == (200, b"abc")


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"http://y/a?b", "/a"), (b"http://y", "/"), (b"//a", "//a"), (b"/a#b", "/a"), (b"*", "*")],
)
def test_a_target_is_understood_in_every_form(odd_server: OddServer, target: bytes, path: str) -> None:
    method = b"OPTIONS" if target == b"*" else b"GET"
    [(_, _, body)] = answers(odd_server.exchange(get(target, CLOSE, method=method)), "GET")
    assert json.loads(body)["environ"]["PATH_INFO"] == path


@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["at once", "byte by byte"])
def test_pipelined_requests_are_answered_in_their_order(odd_server: OddServer, byte_by_byte: bool) -> None:
    requests = b"".join(
        [
            post(b"/1?small", b"sized"),
            get(b"/2", CHUNKED, method=b"POST") + b"3;x=y\r\nchu\r\n4\r\nnked\r\n0\r\nTrailer: t\r\n\r\n",
            b"\r\n" + get(b"/3"),
            post(b"/unread", b"GET /x HTTP/1.1\r\n\r\n"),
            get(b"/nothing"),
            get(b"/stream", method=b"HEAD"),
            post(b"/6?lines", b"a\nb\n\nc"),
            get(b"/7?readlines", CHUNKED, CLOSE, method=b"POST") + b"2\r\na\n\r\n1\r\nb\r\n0\r\n\r\n",
        ]
    )
    parts = [requests[i : i + 1] for i in range(len(requests))] if byte_by_byte else [requests]
    methods = ["POST", "POST", "GET", "POST", "GET", "HEAD", "POST", "POST"]
    found = answers(odd_server.exchange(*parts), *methods)
    bodies = [json.loads(body)["body"] if body.startswith(b"{") else body for _, _, body in found]
    assert bodies == ["sized", "chunked", "", b"unread", b"", b"", "a\n|b\n|\n|c", "a\n|b"]
    assert [status for status, _, _ in found] == [200, 200, 200, 200, 204, 200, 200, 200]


@pytest.mark.parametrize(
    ("request_head", "kept"),
    [
        (get(b"/size"), True),
        (get(b"/size", CLOSE), False),
        (get(b"/size", b"Connection: x, Close"), False),
        (get(b"/size", version=b"1.0"), False),
        (get(b"/size", b"Connection: Keep-Alive", version=b"1.0"), True),
        (get(b"/stream", b"Connection: Keep-Alive", version=b"1.0"), False),
        (get(b"/size", b"Connection: Upgrade", b"Upgrade: h2c"), True),
    ],
)
def test_a_connection_is_kept_as_the_client_wants(odd_server: OddServer, request_head: bytes, kept: bool) -> None:
    second = get(b"/size", CLOSE)
    data = odd_server.exchange(request_head + second)
    assert data.count(b"HTTP/1.1 200 OK") == 1 + kept
    first = data.partition(b"\r\n\r\n")[0]
    assert (b"Connection: close" in first) == (not kept)
    assert (b"Connection: keep-alive" in first) == (kept and b"HTTP/1.0" in request_head)


def test_answers_of_unknown_length_come_in_chunks_or_end_with_the_connection(odd_server: OddServer) -> None:
    assert odd_server.exchange(get(b"/stream", CLOSE)).endswith(b"\r\n\r\n4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n")
    old = odd_server.exchange(get(b"/stream", version=b"1.0"))
    assert old.endswith(b"\r\n\r\none,two")
    assert b"chunked" not in old


def test_answers_are_as_long_as_they_say(odd_server: OddServer) -> None:
    assert odd_server.exchange(get(b"/write", CLOSE)).endswith(b"\r\n\r\none,two")
    whole = odd_server.exchange(get(b"/unread", CLOSE))
    assert b"Content-Length: 6\r\n" in whole
    cut = odd_server.exchange(get(b"/short") + get(b"/short"))  # kept open, the client would wait for the rest
    assert cut.count(b"HTTP/1.1") == 1
    head = odd_server.exchange(get(b"/large", CLOSE, method=b"HEAD"))
    assert b"Content-Length: %d\r\n" % LARGE in head
    assert head.endswith(b"\r\n\r\n")


def test_a_client_is_told_to_continue_when_the_body_is_read_and_only_then(odd_server: OddServer) -> None:
    expecting = get(b"/size", b"Content-Length: 3", b"Expect: 100-Continue", CLOSE, method=b"POST")
    with odd_server.connect() as connection:
        connection.sendall(expecting)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert received(connection).endswith(b"\r\n\r\n3")
    assert b"100 Continue" not in odd_server.exchange(expecting + b"abc")
    with odd_server.connect() as connection:
        connection.sendall(expecting.replace(b"/size", b"/unread").replace(CLOSE, b"X: y"))
        [(status, fields, body)] = answers(received(connection), "POST")
        assert (status, fields["Connection"], body) == (200, "close", b"unread")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / RTSP/1.0\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\n" + HOST + b"\n\n", 400),
        (get(b"/", b"Name : value"), 400),
        (get(b"/", b"Name: a", b" folded"), 400),
        (get(b"/", b"Na\0me: a"), 400),
        (get(b"/", b"Name: a\0b"), 400),
        (post(b"/", b"", b"Content-Length: 5"), 400),
        (get(b"/", b"Content-Length: 5, 5", method=b"POST"), 400),
        (get(b"/", b"Content-Length: -5", method=b"POST"), 400),
        (get(b"/", b"Content-Length: 99999999999999999999", method=b"POST"), 400),
        (get(b"/", b"Content-Length: 5", CHUNKED, method=b"POST"), 400),
        (get(b"/", CHUNKED, b"Content-Length: 5", method=b"POST"), 400),
        (get(b"/", CHUNKED, CHUNKED, method=b"POST"), 400),
        (get(b"/", b"Transfer-Encoding: gzip", method=b"POST"), 400),
        (get(b"/", b"Transfer-Encoding: gzip, chunked", method=b"POST"), 400),
        (get(b"/", CHUNKED, method=b"POST", version=b"1.0"), 400),
        (get(b"/", b"X-Forwarded-Proto: https", b"X-Forwarded-Ssl: off"), 400),
        (get(b"x:80", method=b"CONNECT"), 405),
        (get(b"/", *[b"X-%d: y" % number for number in range(100)]), 431),
        (get(b"/" + b"x" * 65536), 431),
        (get(b"/", b"Name: " + b"x" * 100_000), 431),
    ],
)
def test_what_is_no_request_gets_a_json_error_and_one_line_in_the_log(
    odd_server: OddServer, data: bytes, status: int
) -> None:
    before = len(odd_server.lines)
    [(got, fields, body)] = answers(odd_server.exchange(data + get(b"/")), "GET")
    assert got == status
    error = json.loads(body)["error"]
    assert error["code"] == ("method_not_allowed" if status == 405 else "bad_request")
    assert fields["Content-Type"] == "application/json"
    assert fields["Connection"] == "close"
    [line] = odd_server.lines[before:]
    assert (line["level"], line["event"], line["status"]) == ("info", "request failed", status)
    assert line["message"] == error["message"]


def test_heads_up_to_the_limits_are_taken(odd_server: OddServer) -> None:
    fields = [b"X-%d: y" % number for number in range(98)]
    wide = get(b"/size", *fields, CLOSE)
    long = get(b"/size", b"X: " + b"y" * (64 * 1024 - len(get(b"/size", b"X: ", CLOSE))), CLOSE)
    assert len(long) == 64 * 1024
    for request in (wide, long):
        assert odd_server.exchange(request).startswith(b"HTTP/1.1 200")


def test_failures_of_the_application_are_500_or_cut_the_answer_off(odd_server: OddServer) -> None:
    before = len(odd_server.lines)
    for path in (b"/failing", b"/split"):
        [(status, _, body)] = answers(odd_server.exchange(get(path, CLOSE)), "GET")
        assert (status, json.loads(body)["error"]["code"]) == (500, "internal_error")
    late = odd_server.exchange(get(b"/failing-late") + get(b"/size"))
    assert late.endswith(b"\r\n\r\n5\r\nbegun\r\n")
    assert [line["level"] for line in odd_server.lines[before:]] == ["error"] * 3
    assert all("Traceback" in line["traceback"] for line in odd_server.lines[before:])
    assert b"smuggled" not in odd_server.exchange(get(b"/split", CLOSE)).partition(b"\r\n\r\n")[0]


def test_a_trusted_proxy_may_say_that_its_client_came_by_https(odd_server: OddServer) -> None:
    for value, scheme in ((b"https", "https"), (b"http", "http")):
        data = odd_server.exchange(get(b"/", b"X-Forwarded-Proto: " + value, b"X-Forwarded-For: 1.2.3.4", CLOSE))
        [(_, _, body)] = answers(data, "GET")
        environ = json.loads(body)["environ"]
        assert (environ["wsgi.url_scheme"], environ["REMOTE_ADDR"]) == (scheme, "127.0.0.1")
