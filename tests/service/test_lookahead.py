"""The second thread: gets ready when asked, can be withdrawn, does errands, and hides no failure."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from service.lookahead import Lookahead
from service.watchdog import Pulse, Watchdog

PATIENCE_S = 10.0


class Getting:
    """What the second thread gets: 1, 2, 3, …; it can be held up, and made to fail."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()
        self.begun_at: list[float] = []
        self.failure: Exception | None = None
        self._numbers = itertools.count(1)

    def __call__(self, pulse: Pulse) -> int:
        self.begun_at.append(time.monotonic())
        self.begun.set()
        assert self.may_end.wait(PATIENCE_S)
        if self.failure:
            raise self.failure
        return next(self._numbers)


@pytest.fixture
def getting() -> Getting:
    return Getting()


@pytest.fixture
def lookahead(getting: Getting) -> Iterator[Lookahead[int]]:
    made = Lookahead(getting, Watchdog(60))
    yield made
    made.close()


def test_what_was_asked_for_is_taken_once(lookahead: Lookahead[int], getting: Getting) -> None:
    lookahead.ask(0.0)
    assert getting.begun.wait(PATIENCE_S)
    assert lookahead.take() == 1
    assert lookahead.take() is None


def test_it_begins_no_sooner_than_it_was_asked_to(lookahead: Lookahead[int], getting: Getting) -> None:
    at = time.monotonic() + 0.1
    lookahead.ask(at)
    assert getting.begun.wait(PATIENCE_S)
    assert lookahead.take() == 1
    assert getting.begun_at[0] >= at


def test_what_has_not_begun_is_withdrawn_by_taking(lookahead: Lookahead[int], getting: Getting) -> None:
    lookahead.ask(time.monotonic() + 0.05)
    assert lookahead.take() is None
    assert not getting.begun.wait(0.1)


def test_taking_waits_for_what_has_begun(lookahead: Lookahead[int], getting: Getting) -> None:
    getting.may_end.clear()
    lookahead.ask(0.0)
    assert getting.begun.wait(PATIENCE_S)
    threading.Timer(0.05, getting.may_end.set).start()
    assert lookahead.take() == 1


def test_errands_are_done_in_order_while_the_asking_thread_goes_on(lookahead: Lookahead[int]) -> None:
    done: list[int] = []
    release = threading.Event()
    lookahead.send(lambda pulse: release.wait(PATIENCE_S) and done.append(1))
    assert done == []
    release.set()
    lookahead.send(lambda pulse: done.append(2))
    lookahead.close()
    assert done == [1, 2]


def test_closing_waits_for_the_last_errand(getting: Getting) -> None:
    lookahead = Lookahead(getting, Watchdog(60))
    begun, release, done = threading.Event(), threading.Event(), threading.Event()

    def errand(pulse: Pulse) -> None:
        begun.set()
        release.wait(PATIENCE_S)
        done.set()

    lookahead.send(errand)
    assert begun.wait(PATIENCE_S)
    threading.Timer(0.05, release.set).start()
    lookahead.close()
    assert done.is_set()
    assert not getting.begun.is_set()


def test_a_failure_reaches_the_thread_that_computes(lookahead: Lookahead[int], getting: Getting) -> None:
    getting.failure = KeyError("a fault of ours")
    lookahead.ask(0.0)
    assert getting.begun.wait(PATIENCE_S)
    with pytest.raises(KeyError, match="a fault of ours"):
        lookahead.take()
    getting.failure = None
    lookahead.ask(0.0)
    while (taken := lookahead.take()) is None:
        lookahead.ask(0.0)
    assert taken == 1, "it goes on afterwards"


def test_the_failure_of_an_errand_is_raised_by_the_next_call(lookahead: Lookahead[int]) -> None:
    def errand(pulse: Pulse) -> None:
        raise KeyError("a fault of ours")

    lookahead.send(errand)
    with pytest.raises(KeyError):
        lookahead.send(lambda pulse: None)
