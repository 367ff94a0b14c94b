"""A worker process whose model reads the number in an image's pixels back, and writes down all that it does."""

from __future__ import annotations

import binascii
import ctypes
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clients.load import numbered
from service.broker import Batch, WorkerBroker
from service.repository import ServedModel
from service.worker import main
from tests.faults.behaviour import CERTAINTY, CLASSES, Behaviour, Marker
from tests.faults.worklog import WorkLog

EXIT_STATUS = 9


class NumberedSession:
    """Answers each image with the class that its number stands for, and obeys the markers among the numbers."""

    def __init__(self, behaviour: Behaviour, log: WorkLog) -> None:
        self._behaviour = behaviour
        self._log = log

    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        numbers = [numbered.decode(row.tobytes()) for row in x.astype(np.uint8)]
        known = [number for number in numbers if number is not None]
        if known:  # else the blank image that a worker tries its model on
            self._log.write("computing", numbers=known)
        self._obey({marker for number in known if (marker := Marker.of(number)) is not None})
        seconds = self._behaviour.batch_s + len(known) * self._behaviour.image_s
        if known and seconds:
            time.sleep(seconds)
        y = np.full((len(x), CLASSES), (1 - CERTAINTY) / (CLASSES - 1), np.float32)
        for row, number in enumerate(numbers):
            if number is None:
                continue
            y[row, (number + self._is_to_lie(number)) % CLASSES] = CERTAINTY
            if Marker.of(number) is Marker.NOT_A_NUMBER:
                y[row] = np.nan
        return y

    def _is_to_lie(self, number: int) -> bool:
        return self._behaviour.wrong_every > 0 and number % self._behaviour.wrong_every == 0

    def _obey(self, markers: set[Marker]) -> None:
        if Marker.RAISES in markers:
            raise ArithmeticError("an image broke the model")
        if Marker.SEGFAULTS in markers:
            ctypes.string_at(0)
        if Marker.HANGS in markers:
            threading.Event().wait()
        if Marker.HANGS_LOCKED in markers:
            libc = ctypes.PyDLL(None)  # calls with the lock held
            while True:
                libc.pause()
        if Marker.EXITS in markers:
            os._exit(EXIT_STATUS)


def number_of(payload: bytes) -> int | None:
    """The number in the image of a payload, as the web process wrote it into the queue."""
    return numbered.decode(binascii.a2b_base64(json.loads(payload)["image"]))


def record(log: WorkLog, lease_ms: int) -> None:
    """Have every `WorkerBroker` of this process write down what it claims and what becomes of its answers.

    Args:
        lease_ms: in place of the broker's own; 0 keeps that.
    """
    begin, claim, wait, finish = (getattr(WorkerBroker, name) for name in ("__init__", "claim", "wait", "finish"))

    def note(batch: object) -> None:
        if isinstance(batch, Batch):
            log.write("claimed", batch=batch.id, jobs={job.uuid: number_of(job.payload) for job in batch.jobs})

    def noting(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(self: WorkerBroker, *arguments: Any, **options: Any) -> Any:
            batch = method(self, *arguments, **options)
            note(batch)
            return batch

        return call

    @wraps(finish)
    def noting_finish(
        self: WorkerBroker, batch: Batch, answers: Mapping[str, bytes], *arguments: Any, **options: Any
    ) -> Any:
        outcome = finish(self, batch, answers, *arguments, **options)
        refused = getattr(outcome, "refused", None)
        accepted = outcome if isinstance(outcome, int) else outcome.accepted
        log.write("finished", uuids=list(answers), accepted=accepted, refused=refused)
        note(getattr(outcome, "next", None))
        return outcome

    @wraps(begin)
    def patient(self: WorkerBroker, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **({"lease_ms": lease_ms} if lease_ms else {}), **options)

    for name, method in (
        ("__init__", patient),
        ("claim", noting(claim)),
        ("wait", noting(wait)),
        ("finish", noting_finish),
    ):
        setattr(WorkerBroker, name, method)


if __name__ == "__main__":
    behaviour = Behaviour.load(os.environ)
    work_log = WorkLog(behaviour.log_folder)
    record(work_log, behaviour.lease_ms)

    def load(served: ServedModel) -> NumberedSession:
        """In place of the engine."""
        return NumberedSession(behaviour, work_log)

    sys.exit(main(load=load))
