"""Workers that are killed, stopped in their tracks, or told to leave."""

from __future__ import annotations

import random
import signal
import threading
import time

from tests.faults.deployment import Death, Deployment
from tests.faults.family import send
from tests.faults.faults import Fault
from tests.service.processes import alive, eventually

LEFT_WITHIN_S = 15.0


class WorkerKilled(Fault):
    """`kill -9` of a random worker. A supervisor replaces it; else its program is started again."""

    aftermath_s = 4.0

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        pids = deployment.worker_pids()
        if not pids:  # all of them were killed a moment ago
            return
        pid = choice.choice(pids)
        send(pid, signal.SIGKILL)
        deployment.deaths.append(Death(pid, time.monotonic()))
        _replace(deployment, pid, signal.SIGKILL)


class WorkerStopped(Fault):
    """SIGSTOP of a random worker, and SIGCONT later: long after it was taken for dead it hands its answers in.

    Args:
        stopped_s: seconds in between.
    """

    aftermath_s = 4.0

    def __init__(self, every_s: float, *, stopped_s: float = 10.0, first_s: float | None = None) -> None:
        super().__init__(every_s, first_s=first_s)
        self._stopped_s = stopped_s

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        pids = deployment.worker_pids()
        if not pids:
            return
        pid = choice.choice(pids)
        send(pid, signal.SIGSTOP)
        deployment.deaths.append(Death(pid, time.monotonic()))
        threading.Event().wait(self._stopped_s)
        send(pid, signal.SIGCONT)


class WorkersRolled(Fault):
    """SIGTERM of every worker, one after the other, the next one when the one before is replaced."""

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        with deployment.changing:
            for pid in deployment.worker_pids():
                send(pid, signal.SIGTERM)
                eventually(lambda pid=pid: not alive(pid), "the worker leaves", LEFT_WITHIN_S)  # type: ignore[misc]
                _replace(deployment, pid, signal.SIGTERM)
                deployment.wait_until_whole()


def _replace(deployment: Deployment, pid: int, number: signal.Signals) -> None:
    """Start a worker again that no supervisor starts again; `number` ends it."""
    for worker in deployment.workers:
        if worker.pid == pid:
            worker.start_again(number)
