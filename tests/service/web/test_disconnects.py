"""The watcher of waiting clients, on plain sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from service.web.disconnects import DisconnectWatcher


@pytest.fixture
def watcher() -> Iterator[DisconnectWatcher]:
    watcher = DisconnectWatcher(interval_s=0.01)
    yield watcher
    watcher.close()


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
        assert not threading.Event().wait(0.05)  # five more looks
    theirs.close()
    assert calls == [1]


def test_who_stays_or_has_been_answered_is_not_told_of(watcher: DisconnectWatcher) -> None:
    (staying, peer), (answered, gone), (leaving, left) = (socket.socketpair() for _ in range(3))
    calls: list[str] = []
    seen = threading.Event()
    with watcher.watching(answered, lambda: calls.append("answered")):
        pass
    gone.close()
    peer.send(b"more data is no reason")
    with watcher.watching(staying, lambda: calls.append("staying")), watcher.watching(leaving, seen.set):
        left.close()
        assert seen.wait(5)
    assert calls == []
    for one in (staying, peer, answered, leaving):
        one.close()


def test_who_comes_by_the_number_of_one_that_left_is_not_told_of(watcher: DisconnectWatcher) -> None:
    (first, first_peer), (second, second_peer) = socket.socketpair(), socket.socketpair()
    newcomer, newcomer_peer = socket.socketpair()
    number = second.fileno()
    calls: list[str] = []
    stack, handled, looked_on = contextlib.ExitStack(), threading.Event(), threading.Event()

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
        marker, marker_peer = socket.socketpair()
        with marker, watcher.watching(marker, looked_on.set):  # told by a later look
            marker_peer.close()
            assert looked_on.wait(5)
        assert calls == []
        stack.close()


def test_a_failing_callback_does_not_end_the_watch(watcher: DisconnectWatcher) -> None:
    def failing() -> None:
        raise ConnectionError("redis is away")

    seen = threading.Event()
    for on_gone in (failing, seen.set):
        ours, theirs = socket.socketpair()
        with ours, watcher.watching(ours, on_gone):
            theirs.close()
            assert (on_gone is failing) or seen.wait(5)
            while on_gone is failing and ours.fileno() in watcher._on_gone:
                assert not threading.Event().wait(0.005)


def test_without_a_socket_nothing_is_watched(watcher: DisconnectWatcher) -> None:
    with watcher.watching(None, lambda: pytest.fail("told")):
        assert watcher._thread is None
