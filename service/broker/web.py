"""The web side of the broker: admission, submission, and the answers that come back."""

import os
import threading
import time
import uuid
from collections.abc import Sequence
from itertools import count

from . import keys
from .exceptions import BrokerUnavailable, QueueFull
from .load import BrokerStatus, PartitionLoad, QueueLimits
from .observed import ObservedLoad
from .partitions import Partition
from .reader import Reader
from .submissions import SHORTEST_RESUBMISSION_S, Resubmission, Submission, cancel, full, most_telling, too_late
from .timekeeper import BUSY_TICK_S, IDLE_TICK_S, Timekeeper
from .waiting import Waiting
from .waking import kind

LOAD_AGE_S = 0.1
STATUS_AGE_S = 1.0
LONGEST_DEADLINE_S = 3600.0


class WebBroker:
    """One per web process, made after the fork; works with threads and with gevent's patched ones.

    Jobs are spread round robin over the partitions that can be reached. The limits hold for each partition. Under
    gevent all of it belongs to the greenlets of one thread, but for `Waiting.cancel`.
    """

    def __init__(self, partitions: Sequence[Partition], *, limits: QueueLimits | None = None) -> None:
        if not partitions:
            raise ValueError("expected at least one partition, got none")
        self._partitions = list(partitions)
        self._limits = limits or QueueLimits()
        self._timekeeper = Timekeeper(self._tick)
        self._loads = [ObservedLoad(partition, self._timekeeper.attend) for partition in self._partitions]
        self._jobs: dict[str, Waiting] = {}
        self._turn = count()
        self._id = uuid.uuid4().hex
        self._kind = kind()
        self._readers = [Reader(p, self._id, self._jobs, self._resubmit) for p in self._partitions]
        self._starting = threading.Lock()
        self._started = False
        self._closed = False

    def admit(self, model: str, version: str, deadline_s: float) -> None:
        """Whether a job would be taken now, as far as is known; `submit` decides finally.

        A state that is 50 ms old is asked for anew in the background. Nobody is refused for a state older than 100 ms,
        nor let in for one older than a second: then this waits for a new one.

        Raises:
            QueueFull: no reachable partition has room, or could answer within `deadline_s` seconds.
            BrokerUnavailable: no partition can be reached.
        """
        if not self._started:
            self._start()
        queue = keys.queue_name(model, version)
        for observed in self._loads:
            load = observed.known()
            if load is not None and self._refusal(load, queue, deadline_s) is None:
                return
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
        raise most_telling(refusals)

    def _refusal(self, load: PartitionLoad, queue: str, deadline_s: float) -> QueueFull | None:
        state = load.queues.get(queue)
        wait_s = state.wait_s if state else 0.0
        if wait_s > deadline_s:
            return too_late(wait_s, deadline_s)
        if load.jobs >= self._limits.max_jobs or load.bytes >= self._limits.max_bytes:
            return full(wait_s)
        return None

    def submit(
        self, model: str, version: str, payload: bytes, *, deadline_s: float, priority: str = "normal"
    ) -> Waiting:
        """Send a job on its way; whether it was accepted is part of what `Waiting.result` tells.

        Args:
            model, version: whose queue.
            payload: what the worker gets.
            deadline_s: seconds from now until which an answer is of use, up to an hour.
            priority: high, normal or low.

        Raises:
            ValueError: an argument cannot be part of a job.
            BrokerUnavailable: this side was closed.
        """
        queue = keys.queue_name(model, version)
        if priority not in keys.PRIORITIES:
            raise ValueError(f"priority must be one of {', '.join(keys.PRIORITIES)}; got {priority!r}")
        if not 0 < deadline_s <= LONGEST_DEADLINE_S:
            raise ValueError(f"deadline_s must be above 0 and at most {LONGEST_DEADLINE_S:g}; got {deadline_s}")
        if not self._started:
            self._start()
        waiting = Waiting(
            os.urandom(16).hex(), queue, priority, payload, deadline_s, self._jobs, self._cancel, self._kind
        )
        self._timekeeper.be_there(min(waiting.deadline, waiting.looked_at + BUSY_TICK_S))
        partitions = self._partitions
        if len(partitions) > 1:
            turn = next(self._turn) % len(partitions)
            partitions = partitions[turn:] + partitions[:turn]
        Submission(waiting, partitions, self._id, self._limits, self._give_up).send()
        return waiting

    def status(self) -> BrokerStatus:
        """Reachability, live workers and waiting jobs, at most a second old."""
        loads: list[PartitionLoad] = []
        try:
            self._start()
        except BrokerUnavailable:
            return BrokerStatus.from_loads(loads)
        for observed in self._loads:
            try:
                loads.append(observed.get(STATUS_AGE_S))
            except BrokerUnavailable:
                continue
        return BrokerStatus.from_loads(loads)

    def close(self) -> None:
        """Stop reading; whoever still waits gets BrokerUnavailable, and may ask another process."""
        with self._starting:
            self._started, self._closed = False, True
        for waiting in list(self._jobs.values()):
            waiting.cancel(BrokerUnavailable("this process ends"))
        self._timekeeper.close()
        for reader in self._readers:
            reader.close()
        for partition in self._partitions:
            partition.close()
        for waiting in list(self._jobs.values()):  # those that were on their way in
            waiting.refuse(BrokerUnavailable("this process ends"))

    def _start(self) -> None:
        with self._starting:
            if self._closed:
                raise BrokerUnavailable("this process ends")
            if not self._started:
                self._timekeeper.start()
                self._started = True

    def _tick(self, now: float) -> float:
        """Do what is due; by when there will be more."""
        soonest = now + BUSY_TICK_S
        jobs = list(self._jobs.values())
        for waiting in jobs:
            if waiting.deadline <= now:
                waiting.expire()
            elif waiting.deadline < soonest:
                soonest = waiting.deadline
        busy = bool(jobs)
        for partition, reader in zip(self._partitions, self._readers, strict=True):
            partition.pipeline.look(now)
            reader.pipeline.look(now)
            reader.tick(now)
            busy = busy or reader.busy or partition.pipeline.busy
        return soonest if busy else now + IDLE_TICK_S

    def _resubmit(self, waiting: Waiting, partition: Partition | None) -> None:
        """Submit an accepted job again, on this partition or any other; failing is no harm, it is tried each second."""
        if waiting.deadline - time.monotonic() < SHORTEST_RESUBMISSION_S:
            return
        choices = [partition] if partition else [p for p in self._partitions if p.index != waiting.partition]
        if not choices:
            return  # this server is the only one: what it knew is asked for when it is back
        Resubmission(waiting, choices, self._id, self._limits, self._give_up).send()

    def _give_up(self, waiting: Waiting, index: int) -> None:
        """It may be on that partition, unseen, and is to be deleted."""
        self._readers[index].abandon(waiting)

    def _cancel(self, waiting: Waiting) -> None:
        if waiting.partition is None:
            return  # its submission sees to it
        cancel(waiting, self._partitions[waiting.partition], self._give_up)
