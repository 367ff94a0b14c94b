"""The watcher of waiting clients, on plain sockets: with epoll, and without."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from service.web.disconnects import DisconnectWatcher
from tests.service.processes import ROOT, eventually, python


@pytest.fixture(params=[True, False], ids=["epoll", "poll"])
def watcher(request: pytest.FixtureRequest) -> Iterator[DisconnectWatcher]:
    watcher = DisconnectWatcher(use_epoll=request.param)
    yield watcher
    watcher.close()
    if watcher._thread is not None:
        watcher._thread.join(5)
        assert not watcher._thread.is_alive()


def look(watcher: DisconnectWatcher) -> None:
    """Return once the watcher has told of someone who hung up after this began."""
    ours, theirs = socket.socketpair()
    told = threading.Event()
    with ours, watcher.watching(ours, told.set):
        theirs.close()
        assert told.wait(5)


@pytest.mark.parametrize("how", ["close", "shutdown"])
def test_a_peer_that_hangs_up_is_told_of_once(watcher: DisconnectWatcher, how: str) -> None:
    ours, theirs = socket.socketpair()
    calls, gone = [], threading.Event()

    def on_gone() -> None:
        calls.append(1)
        gone.set()

    with ours, watcher.watching(ours, on_gone):
        theirs.close() if how == "close" else theirs.shutdown(socket.SHUT_WR)
        assert gone.wait(5)
        theirs.close()
        look(watcher)
    assert calls == [1]


def test_a_tcp_client_is_told_of_whether_it_closes_resets_or_shuts_down_sending(watcher: DisconnectWatcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for how in ("close", "reset", "shutdown"):
            client = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
            gone = threading.Event()
            with ours, client, watcher.watching(ours, gone.set):
                client.send(b"data that nobody reads does not hide it")
                if how == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.shutdown(socket.SHUT_WR) if how == "shutdown" else client.close()
                assert gone.wait(5), how


def test_who_stays_or_has_been_answered_is_not_told_of(watcher: DisconnectWatcher) -> None:
    (staying, peer), (answered, gone) = (socket.socketpair() for _ in range(2))
    calls: list[str] = []
    with watcher.watching(answered, lambda: calls.append("answered")):
        pass
    gone.close()
    peer.send(b"more data is no reason")
    with watcher.watching(staying, lambda: calls.append("staying")):
        look(watcher)
    assert calls == []
    for one in (staying, peer, answered):
        one.close()


def test_a_connection_is_watched_again_with_every_request(watcher: DisconnectWatcher) -> None:
    ours, theirs = socket.socketpair()
    gone = threading.Event()
    with ours:
        for _ in range(3):
            with watcher.watching(ours, lambda: pytest.fail("told of an earlier request")):
                pass
        with watcher.watching(ours, gone.set):
            theirs.close()
            assert gone.wait(5)


def test_who_left_between_two_requests_is_told_of_by_the_second(watcher: DisconnectWatcher) -> None:
    ours, theirs = socket.socketpair()
    gone = threading.Event()
    with ours:
        with watcher.watching(ours, lambda: pytest.fail("told of the first")):
            pass
        theirs.shutdown(socket.SHUT_WR)
        look(watcher)
        with watcher.watching(ours, gone.set):
            assert gone.wait(5)
    theirs.close()


def test_who_comes_by_the_number_of_one_that_left_is_not_told_of(watcher: DisconnectWatcher) -> None:
    (first, first_peer), (second, second_peer) = socket.socketpair(), socket.socketpair()
    newcomer, newcomer_peer = socket.socketpair()
    number = second.fileno()
    calls: list[str] = []
    stack, handled = contextlib.ExitStack(), threading.Event()

    def on_first_gone() -> None:
        # While this one is told, the other is answered, its socket closed, and its number taken by a new client.
        watching_second.close()
        second.close()
        os.dup2(newcomer.fileno(), number)
        taken = stack.enter_context(socket.socket(fileno=number))
        stack.enter_context(watcher.watching(taken, lambda: calls.append("newcomer")))
        handled.set()

    with first, newcomer, newcomer_peer, watcher.watching(first, on_first_gone):
        watching_second = contextlib.ExitStack()
        watching_second.enter_context(watcher.watching(second, lambda: None))
        with watcher._lock:  # both are gone by the same look
            first_peer.close()
            second_peer.close()
        assert handled.wait(5)
        look(watcher)
        assert calls == []
        stack.close()


def test_a_failing_callback_does_not_end_the_watch(watcher: DisconnectWatcher) -> None:
    ours, theirs = socket.socketpair()
    failed = threading.Event()

    def failing() -> None:
        failed.set()
        raise ConnectionError("redis is away")

    with ours, watcher.watching(ours, failing):
        theirs.close()
        assert failed.wait(5)
    look(watcher)


def test_without_a_socket_nothing_is_watched(watcher: DisconnectWatcher) -> None:
    with watcher.watching(None, lambda: pytest.fail("told")):
        assert watcher._thread is None


def test_a_closed_watcher_lets_late_requests_pass(watcher: DisconnectWatcher) -> None:
    look(watcher)
    watcher.close()
    watcher.close()
    ours, theirs = socket.socketpair()
    with ours, theirs, watcher.watching(ours, lambda: pytest.fail("told")):
        pass


def test_nothing_of_a_closed_watcher_stays_open() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = open_files()
    for used in (False, True):
        watcher = DisconnectWatcher()
        if used:
            look(watcher)
        watcher.close()
        eventually(lambda: open_files() == before, "its descriptors are closed")


def test_under_gevent_those_that_hang_up_are_told_of_and_the_others_not() -> None:
    code = """
        from gevent import monkey
        monkey.patch_all()
        import gevent, socket, time, threading
        from service.web.disconnects import DisconnectWatcher
        watcher, gone, ready = DisconnectWatcher(), [], []
        pairs = [socket.socketpair() for _ in range(400)]
        def wait(number):
            told = threading.Event()
            with watcher.watching(pairs[number][0], told.set):
                ready.append(number)
                told.wait(20) and gone.append(number)
        waiting = [gevent.spawn(wait, number) for number in range(400)]
        while len(ready) < 400:
            gevent.sleep(0)
        for ours, theirs in pairs[::2]:
            theirs.close()
        gevent.joinall(waiting[::2], timeout=10)
        assert sorted(gone) == list(range(0, 400, 2)), gone
        gevent.killall(waiting[1::2])
        watcher.close()
    """
    lines = "\n".join(line.removeprefix(" " * 8) for line in code.splitlines())
    result = subprocess.run(python("-c", lines), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
