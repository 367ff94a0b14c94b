"""What a web process holds for each job that it waits for."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .exceptions import BrokerError, Cancelled, DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Submission:
    """All that is needed to submit a job, the first time and again under the same UUID."""

    uuid: str
    queue: str
    priority: str
    payload: bytes = field(repr=False)


class Waiting:
    """One submitted job, until it is answered, cancelled or its deadline passes.

    Attributes:
        uuid: its name.
        deadline: on the monotonic clock, seconds.
        partition: index of the partition that holds it; None until it was accepted.
        looked_at: when something was last known of it, on the monotonic clock.
    """

    __slots__ = ("_answer", "_done", "_end", "_reason", "deadline", "looked_at", "partition", "submission")

    def __init__(self, submission: Submission, deadline_s: float, end: Callable[["Waiting", bool], None]) -> None:
        """`end(waiting, cancelled)` is called once nobody waits any more without an answer."""
        now = time.monotonic()
        self.submission = submission
        self.deadline = now + deadline_s
        self.looked_at = now
        self.partition: int | None = None
        self._end = end
        self._done = threading.Event()
        self._answer: bytes | None = None
        self._reason: BrokerError | None = None

    @property
    def uuid(self) -> str:
        """Name of the job."""
        return self.submission.uuid

    @property
    def done(self) -> bool:
        """Whether it was answered or cancelled."""
        return self._done.is_set()

    def result(self) -> bytes:
        """The answer, JSON; blocks until it is there.

        Raises:
            DeadlineExceeded: none came in time.
            Cancelled: `cancel` was called meanwhile, without a reason of its own.
            BrokerUnavailable: the broker was closed meanwhile.
        """
        if not self._done.wait(max(0.0, self.deadline - time.monotonic())):
            self._end(self, False)
            raise DeadlineExceeded(f"job {self.uuid} was not answered before its deadline")
        if self._answer is None:
            raise self._reason or Cancelled(f"job {self.uuid} was cancelled")
        return self._answer

    def cancel(self, reason: BrokerError | None = None) -> None:
        """Delete the job and wake `result` with `reason`; None: Cancelled, the client is gone.

        May be repeated, and come late.
        """
        if not self._done.is_set():
            self._reason = reason
            self._done.set()
            self._end(self, True)

    def resolve(self, answer: bytes) -> None:
        """The answer came; only the first is taken."""
        if not self._done.is_set():
            self._answer = answer
            self._done.set()
