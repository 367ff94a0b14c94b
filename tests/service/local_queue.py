"""A worker's side of a queue within one process, and a model that takes its time: for tests of the worker alone."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.broker import Batch, ClaimedJob, Finished
from service.repository import ServedModel

MODEL = ServedModel("m", "1", Path(), Path("m.keras"), width=2, height=1, labels=("a", "b"), color="grey", max_batch=8)
PAYLOAD = json.dumps(
    {"shape": [1, 2, 1], "dtype": "uint8", "image": base64.b64encode(b"\x01\x02").decode(), "top_k": 1}
).encode()


@dataclass
class Claim:
    """One call that took jobs."""

    at: float
    ahead: bool
    thread: str
    jobs: int


class Queue:
    """A worker's side of a queue in this process."""

    def __init__(self) -> None:
        self.max_batch = MODEL.max_batch
        self.claims: list[Claim] = []
        self.answered: dict[str, str] = {}
        self.lost: set[str] = set()
        self.closed = False
        self.finished_with: list[bool] = []
        self.costs_s: list[float] = []
        self.answers: dict[str, Any] = {}
        self.events: list[str] = []
        self._jobs: deque[ClaimedJob] = deque()
        self._changed = threading.Condition()
        self._numbers = itertools.count()

    def submit(self, count: int = 1, *, attempts: int = 0, deadline_s: float = 30.0) -> list[str]:
        with self._changed:
            uuids = [str(next(self._numbers)) for _ in range(count)]
            self._jobs += [ClaimedJob(uuid, PAYLOAD, attempts, deadline_s) for uuid in uuids]
            self._changed.notify_all()
            return uuids

    def serve(self, max_batches: Mapping[tuple[str, str], int]) -> None:
        assert max_batches == {("m", "1"): MODEL.max_batch}

    def claim(self, *, ahead: bool = False) -> Batch | None:
        with self._changed:
            jobs: list[ClaimedJob] = []
            while self._jobs and len(jobs) < self.max_batch:
                if self._jobs[0].attempts and (jobs or ahead):
                    break
                jobs.append(self._jobs.popleft())
                if jobs[0].attempts:
                    break
            if not jobs:
                return None
            self.claims.append(Claim(time.monotonic(), ahead, threading.current_thread().name, len(jobs)))
            self.events.append(f"claim {' '.join(job.uuid for job in jobs)}")
            batch = Batch(jobs[0].uuid, "m", "1", jobs)
            batch.lost = jobs[0].uuid in self.lost
            return batch

    def wait(self, timeout_s: float) -> Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs, min(timeout_s, 0.05))
        return self.claim()

    def finish(self, batch: Batch, answers: Mapping[str, bytes], *, seconds: float, claim: bool = False) -> Finished:
        self.finished_with.append(claim)
        self.events.append(f"finish {' '.join(answers)}")
        self.costs_s.append(seconds)
        self.answers |= {uuid: json.loads(answer) for uuid, answer in answers.items()}
        self.answered |= dict.fromkeys(answers, threading.current_thread().name)
        return Finished(len(answers), (), self.claim() if claim else None)

    def close(self) -> None:
        self.closed = True


class Session:
    """A model that takes its time, during which things happen."""

    def __init__(self, seconds: float, meanwhile: Callable[[int], object] = lambda run: None) -> None:
        self.seconds = seconds
        self.meanwhile = meanwhile
        self.serving = False  # it is run once before, as a check
        self.runs: list[tuple[float, float, int]] = []

    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        began = time.monotonic()
        if not self.serving:
            return np.full((len(x), 2), 0.5, np.float32)
        if self.seconds:
            time.sleep(self.seconds / 4)
            self.meanwhile(len(self.runs))
            time.sleep(self.seconds * 3 / 4)
        self.runs.append((began, time.monotonic(), len(x)))
        return np.full((len(x), 2), 0.5, np.float32)
