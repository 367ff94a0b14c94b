"""Trying again while the queue server is away: until it is back or the worker stops, told once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from service.broker import BrokerUnavailable
from service.outage import Outage


def failing(times: int, then: Callable[[], None] = lambda: None) -> Callable[[], str]:
    """An action that finds the queue server away so many times."""
    left = [times]

    def action() -> str:
        if left[0]:
            left[0] -= 1
            raise BrokerUnavailable("gone")
        then()
        return "done"

    return action


def test_it_tries_until_it_works_and_tells_of_the_outage_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage(threading.Event())
    assert outage.persist(failing(3)) == "done"
    assert outage.persist(failing(0)) == "done"
    assert [record.args for record in caplog.records] == [("the queue server is away",), ("the queue server is back",)]


def test_told_to_stop_it_gives_up() -> None:
    stopping = threading.Event()
    stopping.set()
    assert Outage(stopping).persist(failing(1)) is None


def test_told_to_stop_it_still_does_what_works_at_once() -> None:
    stopping = threading.Event()
    stopping.set()
    assert Outage(stopping).persist(failing(0)) == "done"


def test_other_errors_are_not_its_business() -> None:
    def fault() -> None:
        raise KeyError("a fault of ours")

    with pytest.raises(KeyError):
        Outage(threading.Event()).persist(fault)


def test_two_threads_tell_of_one_outage(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage(threading.Event())
    both_away = threading.Barrier(2)
    threads = [threading.Thread(target=outage.persist, args=(failing(2, both_away.wait),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [record.args for record in caplog.records] == [("the queue server is away",), ("the queue server is back",)]
