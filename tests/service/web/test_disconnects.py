"""The watcher of waiting clients, on plain sockets."""

from __future__ import annotations

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
