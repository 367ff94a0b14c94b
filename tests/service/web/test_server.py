"""Real web processes under gunicorn: both worker classes, disconnects, bounds, deadlines, stopping."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.service.conftest import RedisServer
from tests.service.processes import ROOT, alive, children, clean_environ, eventually, python
from tests.service.web.conftest import AnsweringWorker, WebProcess, png

StartWeb = Callable[..., WebProcess]
NewWorker = Callable[..., AnsweringWorker]
RAW = {"Content-Type": "image/png"}


def request_bytes(body: bytes, *headers: str) -> bytes:
    lines = ["POST /predict HTTP/1.1", "Host: x", "Content-Type: image/png", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def jobs(server: RedisServer) -> int:
    return sum(1 for _ in server.client.scan_iter("*:job:*"))


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_many_clients_at_once_each_get_their_own_answer(
    start_web: StartWeb, new_answering_worker: NewWorker, worker_class: str
) -> None:
    new_answering_worker()
    web = start_web(worker_class=worker_class, web_processes=2)
    with requests.Session() as session, ThreadPoolExecutor(16) as pool:
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=16))

        def label(value: int) -> str:
            size = (4, 4) if value % 4 else (300, 300)  # every fourth is decoded in a thread
            response = session.post(f"{web.url}/predict?top_k=1", data=png(value, size), headers=RAW, timeout=20)
            return str(response.json()["predictions"][0]["label"])

        assert list(pool.map(label, range(200))) == [str(value) for value in range(200)]
    assert "Traceback" not in web.log.read_text()


@pytest.mark.alone
@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_the_job_of_a_client_that_hangs_up_is_deleted(
    start_web: StartWeb, new_answering_worker: NewWorker, redis_server: RedisServer, worker_class: str
) -> None:
    worker = new_answering_worker()
    worker.held.set()
    web = start_web(worker_class=worker_class)
    with ThreadPoolExecutor(1) as pool:
        staying = pool.submit(requests.post, f"{web.url}/predict", data=png(1), headers=RAW, timeout=20)
        leaving = [socket.create_connection(("127.0.0.1", web.port)) for _ in range(5)]
        for number, connection in enumerate(leaving):
            connection.sendall(request_bytes(png(2)) * (2 if number == 1 else 1))  # one has sent its next request, too
        eventually(lambda: jobs(redis_server) == 6, "all six wait")
        leaving[0].shutdown(socket.SHUT_WR)
        for connection in leaving[1:]:
            connection.close()
        left = time.monotonic()
        eventually(lambda: jobs(redis_server) == 1, "the jobs of those that left are gone")
        assert time.monotonic() - left < 2
        worker.held.clear()
        assert staying.result().status_code == 200
        leaving[0].close()
    assert worker.seen == 1


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def test_a_client_whose_body_stops_arriving_is_told_and_let_go(
    start_web: StartWeb, new_answering_worker: NewWorker, worker_class: str, chunked: bool
) -> None:
    new_answering_worker()
    web = start_web(worker_class=worker_class, upload_pause_s=0.2)
    length = b"Transfer-Encoding: chunked\r\n\r\n64\r\nab" if chunked else b"Content-Length: 100\r\n\r\nab"
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n" + length)
        answer = b""
        while part := connection.recv(4096):  # until the server closes
            answer += part
    assert b" 408 " in answer.splitlines()[0]
    assert b"upload_stalled" in answer
    assert "Traceback" not in web.log.read_text()


def test_all_images_of_a_client_that_hangs_up_are_deleted(
    start_web: StartWeb, new_answering_worker: NewWorker, redis_server: RedisServer
) -> None:
    new_answering_worker().held.set()
    web = start_web()
    request = requests.Request("POST", f"{web.url}/predict", files=[("image", png(i)) for i in range(4)]).prepare()
    head = "\r\n".join(f"{name}: {value}" for name, value in request.headers.items())
    with socket.create_connection(("127.0.0.1", web.port)) as connection:
        body = request.body
        assert isinstance(body, bytes)
        connection.sendall(f"POST /predict HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + body)
        eventually(lambda: jobs(redis_server) == 4, "all four wait")
    eventually(lambda: jobs(redis_server) == 0, "none waits")


@pytest.mark.alone
def test_waiting_clients_do_not_hold_up_health_checks(
    start_web: StartWeb, new_answering_worker: NewWorker, redis_server: RedisServer
) -> None:
    worker = new_answering_worker()
    worker.held.set()
    web = start_web()
    waiting = [socket.create_connection(("127.0.0.1", web.port)) for _ in range(150)]
    for connection in waiting:
        connection.sendall(request_bytes(png()))
    eventually(lambda: jobs(redis_server) == 150, "all reach the queue")
    started = time.monotonic()
    assert requests.get(f"{web.url}/healthz", timeout=5).ok
    assert time.monotonic() - started < 1
    worker.held.clear()
    for connection in waiting:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        connection.close()


def test_a_full_queue_is_a_503_with_retry_after_and_is_seen_before_the_body_comes(
    start_web: StartWeb, new_answering_worker: NewWorker, redis_server: RedisServer
) -> None:
    worker = new_answering_worker()
    worker.held.set()
    web = start_web(max_queue_jobs=2)
    waiting = [socket.create_connection(("127.0.0.1", web.port)) for _ in range(2)]
    for connection in waiting:
        connection.sendall(request_bytes(png()))
    eventually(lambda: jobs(redis_server) == 2, "the queue is full")

    def refused() -> bytes:
        with socket.create_connection(("127.0.0.1", web.port)) as connection:
            connection.settimeout(1)  # admission looks at a state up to 100 ms old: then it waits for the body
            connection.sendall(request_bytes(b"x" * 1000)[:-1000])  # the body is never sent
            with contextlib.suppress(TimeoutError):
                return connection.recv(4096)
            return b""

    answer = eventually(lambda: (got := refused()).startswith(b"HTTP/1.1 503") and got, "the refusal")
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"retry-after: " in head
    worker.held.clear()
    for connection in waiting:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        connection.close()


@pytest.mark.alone
def test_no_answer_by_the_deadline_is_a_504(start_web: StartWeb) -> None:
    web = start_web()
    started = time.monotonic()
    response = requests.post(f"{web.url}/predict", data=png(), headers={**RAW, "X-Deadline-Ms": "300"}, timeout=20)
    assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert 0.3 <= time.monotonic() - started < 2


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_body_over_the_limit_gets_its_413_even_when_the_client_sends_it_all_first(
    start_web: StartWeb, worker_class: str, connection: str
) -> None:
    web = start_web(worker_class=worker_class, max_image_bytes=1000)
    headers = {**RAW, "Connection": connection}
    chunks = iter([b"x" * 1_000_000] * 8)
    for body in (b"x" * 8_000_000, chunks):
        with requests.Session() as session:
            response = session.post(f"{web.url}/predict", data=body, headers=headers, timeout=20)
            assert (response.status_code, response.json()["error"]["code"]) == (413, "image_too_large")
            assert session.get(f"{web.url}/healthz", timeout=5).ok


def test_json_of_unknown_length_over_the_limit_is_too_large(start_web: StartWeb) -> None:
    web = start_web(max_body_bytes=10_000)
    body = io.BytesIO(json.dumps({"image": "A" * 20_000}).encode())
    headers = {"Content-Type": "application/json"}
    response = requests.post(f"{web.url}/predict", data=iter(lambda: body.read(4096), b""), headers=headers, timeout=20)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "image_too_large")


def test_stopping_answers_what_waits_and_does_not_wait_for_idle_clients(
    start_web: StartWeb, new_answering_worker: NewWorker, redis_server: RedisServer
) -> None:
    worker = new_answering_worker()
    worker.held.set()
    web = start_web()
    with requests.Session() as idle, ThreadPoolExecutor(1) as pool:
        assert idle.get(f"{web.url}/healthz", timeout=5).ok  # and keeps its connection
        waiting = pool.submit(requests.post, f"{web.url}/predict", data=png(), headers=RAW, timeout=20)
        eventually(lambda: jobs(redis_server) == 1, "it waits")
        web.process.terminate()
        released = threading.Timer(0.5, worker.held.clear)
        released.start()
        assert waiting.result().status_code == 200
        released.join()
        assert web.process.wait(15) == 0  # graceful_timeout_s is 30
    assert "Traceback" not in web.log.read_text()


def test_a_killed_process_is_replaced(start_web: StartWeb) -> None:
    web = start_web()
    children = Path(f"/proc/{web.process.pid}/task/{web.process.pid}/children")
    (first,) = children.read_text().split()
    subprocess.run(["kill", "-9", first], check=True)
    eventually(lambda: children.read_text().split() not in ([], [first]), "another process")
    eventually(web.is_up, "it answers")


def test_failures_are_one_json_log_line_each_and_successes_none(
    start_web: StartWeb, new_answering_worker: NewWorker
) -> None:
    new_answering_worker()
    web = start_web(log_format="json")
    assert requests.post(f"{web.url}/predict", data=png(), headers=RAW, timeout=20).ok
    requests.post(f"{web.url}/predict", data=b"hello", headers=RAW, timeout=20)
    lines = [json.loads(line) for line in web.log.read_text().splitlines()]
    failures = [line for line in lines if line["logger"].startswith("service.web")]
    assert [(line["event"], line["code"], line["status"]) for line in failures] == [
        ("request failed", "image_unreadable", 400)
    ]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("BEAGLE_PORT", "high", "BEAGLE_PORT: expected a whole number"),
        ("BEAGLE_MODEL_REPOSITORY", "/nowhere", "/nowhere: expected a folder of models"),
    ],
)
def test_wrong_settings_end_it_at_once_with_one_sentence(variable: str, value: str, message: str) -> None:
    result = subprocess.run(
        python("-m", "service.web"),
        cwd=ROOT,
        env={**clean_environ(), variable: value},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_unknown_step_ends_it_with_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "models/digits/1"
    folder.mkdir(parents=True)
    (folder / "serving.toml").write_text('[input]\nwidth=4\nheight=4\nsteps=["dance"]\n[output]\nlabels=["a"]\n')
    result = subprocess.run(
        python("-m", "service.web"),
        cwd=ROOT,
        env={
            **clean_environ(),
            "BEAGLE_MODEL_REPOSITORY": str(tmp_path / "models"),
            "BEAGLE_PORT": "0",
            "BEAGLE_WEB_PROCESSES": "1",  # a second one that ends alike makes gunicorn print where it was
        },
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert result.returncode != 0
    assert "got 'dance'" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_web_never_imports_the_engine() -> None:
    code = """
        import sys
        import service.web.app, service.web.gunicorn_app
        loaded = [name for name in sys.modules if name.partition(".")[0] == "engine"]
        sys.exit(", ".join(loaded) or 0)
    """
    lines = "\n".join(line.strip() for line in code.splitlines())
    result = subprocess.run(python("-c", lines), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


def test_the_master_imports_neither_flask_nor_redis_so_that_processes_are_patched_first() -> None:
    code = "import sys, service.web.__main__; sys.exit(', '.join({'flask', 'redis', 'PIL'} & set(sys.modules)) or 0)"
    result = subprocess.run(python("-c", code), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("worker_class", ["gevent", "gthread"])
def test_requests_in_flight_are_answered_when_the_master_is_killed(
    start_web: StartWeb, new_answering_worker: NewWorker, redis_server: RedisServer, worker_class: str
) -> None:
    worker = new_answering_worker()
    worker.held.set()
    web = start_web(worker_class=worker_class, graceful_timeout_s=5)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(requests.post, f"{web.url}/predict", data=png(9), headers=RAW, timeout=20)
        eventually(lambda: jobs(redis_server) == 1, "it waits")
        [process] = children(web.process.pid)
        web.process.kill()
        web.process.wait()
        eventually(lambda: "gone" in web.log.read_text() or "Parent changed" in web.log.read_text(), "it is noticed")
        worker.held.clear()
        assert answer.result().json()["predictions"][0]["label"] == "9"
    eventually(lambda: not alive(process), "the web process has ended")


@pytest.mark.parametrize("chunks", [b"zz\r\nab\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n"], ids=["size", "end"])
def test_a_malformed_chunked_body_is_the_clients_mistake(start_web: StartWeb, chunks: bytes) -> None:
    web = start_web()
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as connection:
        connection.sendall(head + chunks)
        with connection.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 400")
            assert b"bad_request" in answer.read()
    assert "Traceback" not in web.log.read_text()


def test_sigint_stops_it_too(start_web: StartWeb) -> None:
    web = start_web()
    web.process.send_signal(signal.SIGINT)
    assert web.process.wait(15) == 0  # graceful_timeout_s is 30
