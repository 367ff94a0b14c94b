"""A supervisor of processes: restarts what dies, gives up on what cannot start, ends them all."""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from service.child import Child, ChildSpec, crashed
from service.telemetry import log_event

MOST_FAILED_STARTS = 5
POLL_S = 0.02  # between looks at something that cannot wake the supervisor
HURRIED_GRACE_S = 3.0
UNTIL_REAPED_S = 10.0  # after SIGKILL
GAVE_UP = 1

log = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Runs children until a signal ends it, or one of them cannot start.

    Args:
        specs: the children, in the order of starting.
        on_ready: asked again and again, once every child that reports has reported, until it returns True.
        on_death: called with the spec and the report of a child that died after it had reported, and whether it
            crashed (see `service.child.crashed`); at once, before anything else is done.
        on_stop: called once, when the supervisor begins to stop, whatever the reason.

    Attributes:
        gave_up_on: name of the child that could not be started, if that is why it stopped.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        on_ready: Callable[[], bool] = lambda: True,
        on_death: Callable[[ChildSpec, str, bool], None] = lambda spec, report, crashed: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._children = [Child(spec) for spec in specs]
        self._unstarted = list(self._children)
        self._on_ready: Callable[[], bool] | None = on_ready
        self._on_death = on_death
        self._on_stop = on_stop
        self._selector = selectors.DefaultSelector()
        self._stops_asked = 0
        self._stopping = False
        self._grace_limit_s = float("inf")
        self._status = 0
        self.gave_up_on: str | None = None

    def run(self) -> int:
        """Run in the main thread until stopped; returns the exit status, 0 after a signal, 1 after giving up.

        SIGTERM, SIGINT and SIGHUP drain; a second one of them kills what is left.
        """
        with self._selector, self._signals():
            try:
                while True:
                    self._collect()
                    self._start_due()
                    self._ask_ready()
                    self._stop_due()
                    if self._stopping and not any(child.alive for child in self._children):
                        return self._status
                    for key, _ in self._selector.select(self._timeout()):
                        key.data()
            finally:
                for child in self._children:  # only where something unforeseen was raised
                    child.kill()

    # Signals and time

    @contextmanager
    def _signals(self) -> Iterator[None]:
        reader, writer = socket.socketpair()
        with reader, writer:
            reader.setblocking(False)
            writer.setblocking(False)
            wakeup_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            handlers = {number: signal.signal(number, self._note_stop) for number in _STOP_SIGNALS}
            handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
            self._selector.register(reader, selectors.EVENT_READ, lambda: reader.recv(4096))
            try:
                yield
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(wakeup_before)

    def _note_stop(self, number: int, frame: FrameType | None) -> None:
        self._stops_asked += 1

    def _timeout(self) -> float | None:
        """Seconds until the supervisor must look without being woken; None where nothing is due."""
        now = time.monotonic()
        if self._unstarted or (self._on_ready is not None and self._all_reported()):
            return POLL_S
        due = [at for child in self._children for at in (child.start_at, child.kill_at) if at is not None]
        return max(0.0, min(due) - now) if due else None

    # Starting

    def _start_due(self) -> None:
        while self._unstarted:
            index = len(self._children) - len(self._unstarted)
            before = self._children[index - 1] if index else None
            if before is not None and before.spec.is_up is not None and not before.spec.is_up():
                break
            self._start(self._unstarted.pop(0))
        now = time.monotonic()
        for child in self._children:
            if child.start_at is not None and child.start_at <= now:
                self._start(child)

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:
            log_event(log, logging.ERROR, "cannot be started", child=child.spec.name, reason=str(error))
            self._close_report(child)
            child.started_at = time.monotonic()
            self._plan_restart(child, str(error), killed=False)
            return
        if child.ready_pipe is not None:
            self._selector.register(child.ready_pipe, selectors.EVENT_READ, lambda: self._take_report(child))

    def _take_report(self, child: Child) -> None:
        child.read_report()
        if child.reported or not child.ready_line:
            self._close_report(child)

    def _close_report(self, child: Child) -> None:
        if child.ready_pipe is not None:
            if child.ready_pipe in self._selector.get_map():
                self._selector.unregister(child.ready_pipe)
            os.close(child.ready_pipe)
            child.ready_pipe = None

    def _all_reported(self) -> bool:
        return all(child.reported for child in self._children if child.spec.reports_ready)

    def _ask_ready(self) -> None:
        if (
            self._on_ready is not None
            and not (self._unstarted or self._stopping)
            and self._all_reported()
            and self._on_ready()
        ):
            self._on_ready = None

    # Deaths

    def _collect(self) -> None:
        """Take in every process that ended; as the first process of a container also those of others."""
        by_pid = {child.process.pid: child for child in self._children if child.process is not None}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = by_pid.get(pid)
            if child is not None and child.process is not None:
                child.process.returncode = os.waitstatus_to_exitcode(status)
                self._mourn(child, child.process.returncode)

    def _mourn(self, child: Child, status: int) -> None:
        if child.ready_pipe is not None:
            with suppress(BlockingIOError):  # a process of its own may still hold the pipe
                child.read_report()
            self._close_report(child)
        if child.reported:
            self._on_death(child.spec, child.ready_line.strip(), crashed(status))
        name = child.spec.name
        if self._resting(child):
            log_event(log, logging.INFO, "ended", child=name, status=_in_words(status))
            child.process = child.kill_at = None
        else:
            log_event(log, logging.ERROR, "died", child=name, status=_in_words(status))
            hopeless = status in child.spec.hopeless
            self._plan_restart(child, _in_words(status), killed=not crashed(status), hopeless=hopeless)

    def _plan_restart(self, child: Child, last: str, *, killed: bool, hopeless: bool = False) -> None:
        child.ended(killed=killed)
        if hopeless or child.failed_starts >= MOST_FAILED_STARTS:
            log_event(
                log,
                logging.CRITICAL,
                "gives up: a child cannot be started",
                child=child.spec.name,
                times=child.failed_starts,
                last=last,
            )
            child.start_at = None
            self.gave_up_on = child.spec.name
            self._status = GAVE_UP
            self._grace_limit_s = min(self._grace_limit_s, HURRIED_GRACE_S)
            self._begin_stop()

    # Stopping

    def _resting(self, child: Child) -> bool:
        """Whether a child shall not run any more: the supervisor stops, and its turn to end has come."""
        return self._stopping and child.spec.stop_order <= self._current_order()

    def _current_order(self) -> float:
        return min((child.spec.stop_order for child in self._children if child.alive), default=float("inf"))

    def _begin_stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._unstarted.clear()
            self._on_stop()

    def _stop_due(self) -> None:
        if self._stops_asked:
            self._begin_stop()
        if self._stops_asked > 1:
            self._grace_limit_s = 0.0
        if not self._stopping:
            return
        now = time.monotonic()
        for child in self._children:
            if not self._resting(child):
                continue
            child.start_at = None
            if child.process is None:
                continue
            if child.kill_at is None:
                child.kill_at = now + min(child.spec.grace_s, self._grace_limit_s)
                child.process.terminate()
            elif self._stops_asked > 1 or child.kill_at <= now:
                log_event(log, logging.WARNING, "did not end in time and is killed", child=child.spec.name)
                child.kill()
                child.kill_at = now + UNTIL_REAPED_S


def _in_words(status: int) -> str:
    """What a return code of `subprocess` says."""
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"exit status {status}"
