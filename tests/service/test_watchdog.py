"""The watchdog: ends the process when a thread stands still, with and without the interpreter lock."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.watchdog import HUNG, Watchdog
from tests.service.processes import eventually, python, running


class Watched:
    """A watchdog that notes the exit status instead of ending the tests."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.ended = threading.Event()
        self.watchdog = Watchdog(60, end=self._end)
        self.watchdog.start()

    def _end(self, status: int) -> None:
        self.statuses.append(status)
        self.ended.set()


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.watchdog.stop()


def test_a_thread_that_goes_on_stepping_or_rests_is_left_alone(watched: Watched) -> None:
    pulse, resting = watched.watchdog.pulse(), watched.watchdog.pulse()
    resting.step(0.0, "work that was over at once")
    resting.rest()
    until = time.monotonic() + 1.2
    while time.monotonic() < until:
        pulse.step(0.5, "quick work")
        assert not watched.ended.wait(0.01)


def test_what_takes_longer_than_its_limit_ends_the_process_and_says_what_it_was_and_where(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.watchdog.pulse().step(60, "slow work within its limit")
    watched.watchdog.pulse().step(0.05, "slow work")
    assert watched.ended.wait(10)
    assert watched.statuses == [HUNG]
    fields = caplog.records[-1].fields  # type: ignore[attr-defined]
    assert fields["what"] == "slow work"
    assert __file__ in fields["where"] or "threading" in fields["where"]


def test_a_thread_beside_the_main_one_is_watched_as_well(watched: Watched) -> None:
    release = threading.Event()

    def work() -> None:
        watched.watchdog.pulse().step(0.05, "work of another thread")
        release.wait()

    thread = threading.Thread(target=work)
    thread.start()
    assert watched.ended.wait(10)
    release.set()
    thread.join()


def test_a_log_that_nobody_reads_does_not_keep_the_process_alive(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr("service.watchdog.LAST_WORDS_S", 0.05)
    monkeypatch.setattr("service.watchdog.log_event", lambda *args, **fields: release.wait())
    watched.watchdog.pulse().step(0.05, "slow work")
    assert watched.ended.wait(10)
    release.set()


@pytest.mark.skipif(sys.platform == "win32", reason="the C library has another name there")
def test_native_code_that_keeps_the_interpreter_lock_is_ended_too(tmp_path: Path) -> None:
    code = (
        "import ctypes; from service.watchdog import Watchdog; w = Watchdog(1.0); w.start()\n"
        "ctypes.PyDLL(None).sleep(600)"  # PyDLL keeps the lock while it calls
    )
    with running(python("-c", code), tmp_path) as process:
        assert process.wait() == 1
        assert "Timeout" in process.err


@pytest.mark.skipif(sys.platform != "linux", reason="stops and continues a process")
def test_a_process_that_was_stopped_as_a_whole_is_not_taken_for_hung(tmp_path: Path) -> None:
    code = (
        "import time; from service.watchdog import Watchdog; w = Watchdog(60); w.start(); pulse = w.pulse()\n"
        "pulse.step(1.3, 'a second of work'); print('begun', flush=True)\n"
        "ticks = 0\n"
        "while ticks < 20: time.sleep(0.01); ticks += 1\n"
        "pulse.rest(); print('done', flush=True); w.stop()"
    )
    with running(python("-c", code), tmp_path) as process:
        eventually(lambda: "begun" in process.out, "the step has begun")
        process.process.send_signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        eventually(lambda: time.monotonic() - stopped_at > 1.5, "it was stopped for longer than the step may take")
        process.process.send_signal(signal.SIGCONT)
        assert process.wait() == 0, process.err
        assert "done" in process.out
