"""The watchdog: ends the process when computing hangs, with and without the interpreter lock."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from service.watchdog import HUNG, Watchdog
from tests.service.processes import python, running


def test_what_ends_in_time_is_left_alone() -> None:
    ended: list[int] = []
    watchdog = Watchdog(60, end=ended.append)
    watchdog.start()
    with watchdog.limit(30, "quick work"):
        pass
    watchdog.stop()
    assert ended == []


def test_what_takes_longer_than_its_limit_ends_the_process_and_says_what_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = threading.Event()
    statuses: list[int] = []

    def end(status: int) -> None:
        statuses.append(status)
        ended.set()

    watchdog = Watchdog(60, end=end)
    watchdog.start()
    with watchdog.limit(0.05, "slow work"):
        assert ended.wait(10)
    watchdog.stop()
    assert statuses == [HUNG]
    assert caplog.records[-1].fields["what"] == "slow work"  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform == "win32", reason="the C library has another name there")
def test_native_code_that_keeps_the_interpreter_lock_is_ended_too(tmp_path: Path) -> None:
    code = (
        "import ctypes; from service.watchdog import Watchdog; w = Watchdog(1.0); w.start()\n"
        "import time; time.sleep(0.5)\n"
        "ctypes.PyDLL(None).sleep(600)"  # PyDLL keeps the lock while it calls
    )
    with running(python("-c", code), tmp_path) as process:
        assert process.wait() == 1
        assert "Timeout" in process.err
