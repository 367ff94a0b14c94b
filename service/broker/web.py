"""The web side of the broker: admission, submission, and the answers that come back."""

import logging
import threading
import time
import uuid
from collections.abc import Sequence
from itertools import count

from . import keys
from .exceptions import BrokerUnavailable, QueueFull
from .load import BrokerStatus, PartitionLoad, QueueLimits
from .partitions import Partition, ServerFull
from .reader import Reader
from .waiting import Submission, Waiting

logger = logging.getLogger(__name__)

LOAD_AGE_S = 0.1
STATUS_AGE_S = 1.0
LONGEST_DEADLINE_S = 3600.0
LONGEST_RETRY_S = 60.0
# Less than this is not worth a job: it could not be computed in time.
SHORTEST_RESUBMISSION_S = 0.02


class ObservedLoad:
    """What one partition holds, asked for no more often than somebody needs to know."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._lock = threading.Lock()
        self._load: PartitionLoad | None = None
        self._seen = 0.0

    def get(self, max_age_s: float) -> PartitionLoad:
        """The load, at most `max_age_s` seconds old; BrokerUnavailable where it cannot be had."""
        load = self._load
        if load is not None and time.monotonic() - self._seen <= max_age_s:
            return load
        with self._lock:
            if self._load is None or time.monotonic() - self._seen > max_age_s:
                self._load = PartitionLoad.from_reply(self._partition.run("state"))
                self._seen = time.monotonic()
            return self._load


class WebBroker:
    """One per web process, made after the fork; works with threads and with gevent's patched ones.

    Jobs are spread round robin over the partitions that can be reached. The limits hold for each partition.
    """

    def __init__(self, partitions: Sequence[Partition], *, limits: QueueLimits | None = None) -> None:
        if not partitions:
            raise ValueError("expected at least one partition, got none")
        self._partitions = list(partitions)
        self._limits = limits or QueueLimits()
        self._loads = [ObservedLoad(partition) for partition in self._partitions]
        self._waiting: dict[str, Waiting] = {}
        self._turn = count()
        self._id = uuid.uuid4().hex
        self._readers: list[Reader] = []
        self._readers_lock = threading.Lock()

    def admit(self, model: str, version: str, deadline_s: float) -> None:
        """Whether a job would be taken now, from a state at most 100 ms old; `submit` decides finally.

        Raises:
            QueueFull: no reachable partition has room, or could answer within `deadline_s` seconds.
            BrokerUnavailable: no partition can be reached.
        """
        queue = keys.queue_name(model, version)
        refusals: list[Exception] = []
        for observed in self._loads:
            try:
                refusal = self._refusal(observed.get(LOAD_AGE_S), queue, deadline_s)
            except BrokerUnavailable as error:
                refusals.append(error)
                continue
            if refusal is None:
                return
            refusals.append(refusal)
        raise _most_telling(refusals)

    def _refusal(self, load: PartitionLoad, queue: str, deadline_s: float) -> QueueFull | None:
        state = load.queues.get(queue)
        wait_s = state.wait_s if state else 0.0
        if wait_s > deadline_s:
            return _too_late(wait_s, deadline_s)
        if load.jobs >= self._limits.max_jobs or load.bytes >= self._limits.max_bytes:
            return _full(wait_s)
        return None

    def submit(
        self, model: str, version: str, payload: bytes, *, deadline_s: float, priority: str = "normal"
    ) -> Waiting:
        """Queue a job; it is accepted when this returns.

        Args:
            model, version: whose queue.
            payload: what the worker gets.
            deadline_s: seconds from now until which an answer is of use, up to an hour.
            priority: high, normal or low.

        Raises:
            QueueFull: no reachable partition has room, or could answer in time.
            BrokerUnavailable: no partition can be reached.
        """
        queue = keys.queue_name(model, version)
        if priority not in keys.PRIORITIES:
            raise ValueError(f"priority must be one of {', '.join(keys.PRIORITIES)}; got {priority!r}")
        if not 0 < deadline_s <= LONGEST_DEADLINE_S:
            raise ValueError(f"deadline_s must be above 0 and at most {LONGEST_DEADLINE_S:g}; got {deadline_s}")
        self._start_readers()
        waiting = Waiting(Submission(uuid.uuid4().hex, queue, priority, payload), deadline_s, self._end)
        self._waiting[waiting.uuid] = waiting  # the answer may come before the submission returns
        refusals: list[Exception] = []
        turn = next(self._turn)
        try:
            for offset in range(len(self._partitions)):
                partition = self._partitions[(turn + offset) % len(self._partitions)]
                try:
                    self._send(waiting, partition, self._limits.max_jobs)
                    return waiting
                except (QueueFull, BrokerUnavailable) as error:
                    refusals.append(error)
            raise _most_telling(refusals)
        except BaseException:
            self._waiting.pop(waiting.uuid, None)
            raise

    def status(self) -> BrokerStatus:
        """Reachability, live workers and waiting jobs, at most a second old."""
        loads = []
        for observed in self._loads:
            try:
                loads.append(observed.get(STATUS_AGE_S))
            except BrokerUnavailable:
                continue
        return BrokerStatus.from_loads(loads)

    def close(self) -> None:
        """Stop the readers; whoever still waits gets BrokerUnavailable, and may ask another process."""
        for waiting in list(self._waiting.values()):
            waiting.cancel(BrokerUnavailable("this process ends"))
        for reader in self._readers:
            reader.close()
        for partition in self._partitions:
            partition.close()

    def _start_readers(self) -> None:
        if self._readers:
            return
        with self._readers_lock:
            if not self._readers:
                readers = [Reader(p, self._id, self._waiting, self._resubmit) for p in self._partitions]
                for reader in readers:
                    reader.start()
                self._readers = readers

    def _send(self, waiting: Waiting, partition: Partition, max_jobs: int) -> None:
        left_s = waiting.deadline - time.monotonic()
        submission = waiting.submission
        try:
            outcome, backlog_ms = partition.run(
                "submit",
                submission.uuid,
                submission.queue,
                submission.priority,
                self._id,
                max(1, int(left_s * 1000)),
                submission.payload,
                max_jobs,
                self._limits.max_bytes,
            )
        except ServerFull as error:
            raise QueueFull(str(error), 1.0) from error
        except BrokerUnavailable:
            self._readers[partition.index].abandon(submission.uuid)  # it may have arrived all the same
            raise
        if outcome == b"late":
            raise _too_late(backlog_ms / 1000, left_s)
        if outcome == b"full":
            raise _full(backlog_ms / 1000)
        waiting.looked_at = time.monotonic()
        waiting.partition = partition.index

    def _resubmit(self, waiting: Waiting, partition: Partition | None) -> None:
        """Submit an accepted job again, on this partition or any other; failing is no harm, it is tried each second."""
        if waiting.deadline - time.monotonic() < SHORTEST_RESUBMISSION_S:
            return
        choices = [partition] if partition else [p for p in self._partitions if p.index != waiting.partition]
        for choice in choices:
            try:
                self._send(waiting, choice, 0)
            except (QueueFull, BrokerUnavailable) as error:
                logger.debug("job %s could not be submitted again: %s", waiting.uuid, error)
                continue
            logger.info("submitted job %s again, on %s", waiting.uuid, choice.name)
            return

    def _end(self, waiting: Waiting, cancelled: bool) -> None:
        """Nobody waits for it any more: forget it here, and where it was cancelled there."""
        self._waiting.pop(waiting.uuid, None)
        if cancelled and waiting.partition is not None:
            try:
                self._partitions[waiting.partition].run("cancel", waiting.uuid)
            except BrokerUnavailable:
                self._readers[waiting.partition].abandon(waiting.uuid)


def _full(wait_s: float) -> QueueFull:
    # A tenth of what waits done is room enough for those who come back.
    return QueueFull("the queue is full", min(LONGEST_RETRY_S, max(1.0, wait_s / 10)))


def _too_late(wait_s: float, deadline_s: float) -> QueueFull:
    return QueueFull(
        f"what waits already takes {wait_s:.1f} s, longer than the deadline of {deadline_s:.1f} s",
        min(LONGEST_RETRY_S, max(1.0, wait_s - deadline_s)),
    )


def _most_telling(refusals: list[Exception]) -> Exception:
    """Full rather than unreachable, and the one that asks to wait least."""
    full = [refusal for refusal in refusals if isinstance(refusal, QueueFull)]
    return min(full, key=lambda refusal: refusal.retry_after) if full else refusals[0]
