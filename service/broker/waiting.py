"""What a web process holds for each job that it waits for."""

import time
from collections.abc import Callable, MutableMapping

from .exceptions import BrokerError, Cancelled, DeadlineExceeded
from .waking import Kind, Sleeper


class Waiting:
    """One submitted job, until it is answered, refused, cancelled or its deadline passes: what comes first counts.

    Attributes:
        uuid: its name, 32 hexadecimal digits.
        queue, priority, payload: what is needed to submit it, the first time and again.
        deadline: on the monotonic clock, seconds.
        partition: index of the partition that holds it; None until it was accepted.
        entry: under which it waits there, as the server wrote it.
        looked_at: when something was last known of it, on the monotonic clock.
        cancelled: whether the job is to be deleted wherever it is.
    """

    __slots__ = (
        "_acceptance",
        "_answer",
        "_jobs",
        "_kind",
        "_on_cancel",
        "_reason",
        "_sleeper",
        "cancelled",
        "deadline",
        "entry",
        "looked_at",
        "partition",
        "payload",
        "priority",
        "queue",
        "uuid",
    )

    def __init__(
        self,
        uuid: str,
        queue: str,
        priority: str,
        payload: bytes,
        deadline_s: float,
        jobs: MutableMapping[str, "Waiting"],
        on_cancel: Callable[["Waiting"], None],
        kind: Kind,
    ) -> None:
        """`jobs`: all of the process by UUID, this one too until it ends; `on_cancel`: deletes an accepted job."""
        now = time.monotonic()
        self.uuid = uuid
        self.queue = queue
        self.priority = priority
        self.payload = payload
        self.deadline = now + deadline_s
        self.looked_at = now
        self.partition: int | None = None
        self.entry: bytes = b""
        self.cancelled = False
        self._jobs = jobs
        self._on_cancel = on_cancel
        self._kind = kind
        self._answer: bytes | None = None
        self._reason: BaseException | None = None
        self._sleeper: Sleeper | None = None
        self._acceptance: Sleeper | None = None
        jobs[uuid] = self

    @property
    def done(self) -> bool:
        """Whether `result` has nothing to wait for."""
        return self._answer is not None or self._reason is not None

    def result(self) -> bytes:
        """The answer, JSON; blocks until it is there. One caller at a time.

        Raises:
            QueueFull: no reachable partition had room, or could answer in time; it was not accepted.
            BrokerUnavailable: no partition could be reached, or the broker was closed meanwhile.
            DeadlineExceeded: none came in time.
            Cancelled: `cancel` was called meanwhile, without a reason of its own.
        """
        if self._answer is None and self._reason is None:
            self._sleeper = sleeper = self._kind.sleeper()
            if not self.done:  # it may have ended before it could see the sleeper
                sleeper.sleep()
        if self._answer is None:
            assert self._reason is not None
            raise self._reason
        return self._answer

    def accepted(self) -> None:
        """Wait until a server took the job, for who has several to submit; `result` alone serves one as well.

        Raises:
            What `result` raises, where it ended before it was accepted.
        """
        if self.partition is None and not self.done:
            self._acceptance = sleeper = self._kind.sleeper()
            if self.partition is None and not self.done:
                sleeper.sleep()
        if self._reason is not None and self.partition is None:
            raise self._reason

    def cancel(self, reason: BrokerError | None = None) -> None:
        """Delete the job and wake `result` with `reason`; None: Cancelled, the client is gone.

        May be repeated, and come late.
        """
        if self._end(None, reason or Cancelled(f"job {self.uuid} was cancelled"), cancelled=True):
            self._on_cancel(self)

    def accept(self, partition: int, entry: bytes) -> None:
        """The server of that partition has it, under this entry."""
        self.entry = entry
        self.partition = partition
        if self._acceptance is not None:
            self._acceptance.wake()

    def resolve(self, answer: bytes) -> None:
        """The answer came."""
        self._end(answer, None)

    def refuse(self, reason: BaseException) -> None:
        """It was not accepted anywhere."""
        self._end(None, reason)

    def expire(self) -> None:
        """Its deadline passed."""
        self._end(None, DeadlineExceeded(f"job {self.uuid} was not answered before its deadline"))

    def _end(self, answer: bytes | None, reason: BaseException | None, cancelled: bool = False) -> bool:
        # Of several who end it at once, one finds it there.
        if self._jobs.pop(self.uuid, None) is None:
            return False
        self.cancelled = cancelled
        self._reason = reason
        self._answer = answer
        self.payload = b""  # whoever keeps this, or an error that it raised, need not keep an image
        if self._sleeper is not None:
            self._sleeper.wake()
        if self._acceptance is not None:
            self._acceptance.wake()
        return True
