"""Runs a plan in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import select
import selectors
import sys
import threading
import time
from types import TracebackType

from clients.load.ledger import Ledger
from clients.load.plan import Plan
from clients.load.tally import Report, Tally
from clients.load.targets import Target
from clients.load.traffic import ClosedLoop, OpenLoop, Traffic


class Load:
    """A run of a plan; as a context manager it is started, and stopped at the end.

    Args:
        plan: What to send.
        ledger: Records every request; closed by the caller.

    Raises:
        ValueError: a URL is none, or its host has no address.
    """

    def __init__(self, plan: Plan, ledger: Ledger | None = None) -> None:
        self.plan = plan
        self.tally = Tally(None if plan.deadline_ms is None else plan.deadline_ms / 1e3)
        self._ledger = ledger
        self._targets = tuple(Target.of(url) for url in plan.urls)
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._traffic: Traffic | None = None
        self._begun = threading.Event()
        self._error: BaseException | None = None

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()
        self._begun.wait()

    def stop(self) -> Report:
        """Send no more, wait for the answers that are under way, and return the report."""
        loop, traffic = self._loop, self._traffic
        if loop is not None and traffic is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                loop.call_soon_threadsafe(traffic.stop)
        return self.wait()

    def wait(self) -> Report:
        """Wait until the plan is done, and return the report."""
        while not self.ended_within(1.0):
            pass
        if self._error is not None:
            raise self._error
        return self.tally.report(time.monotonic())

    def ended_within(self, seconds: float) -> bool:
        """Wait for so long at most; say whether the plan is done."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._send())
        except BaseException as error:  # told to whoever waits
            self._error = error
        finally:
            self._begun.set()

    async def _send(self) -> None:
        kind = ClosedLoop if self.plan.clients else OpenLoop
        self._traffic = kind(self.plan, self._targets, self.tally, self._ledger)
        self._loop = asyncio.get_running_loop()
        self._begun.set()
        await self._traffic.run()


def run(plan: Plan, ledger: Ledger | None = None) -> Report:
    """Carry out a plan and return the report; see `Load`."""
    load = Load(plan, ledger)
    load.start()
    return load.wait()


def _new_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(_PreciseSelector() if sys.platform == "linux" else None)


if sys.platform == "linux":

    class _PreciseSelector(selectors.EpollSelector):
        """Waits to the microsecond; epoll alone rounds up to milliseconds, which would be added to latencies."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and timeout > 0:
                select.select((self.fileno(),), (), (), timeout)
                timeout = 0
            return super().select(timeout)
