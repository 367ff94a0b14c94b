"""The worker side of the broker: claim, answer, give back."""

import os
import re
import secrets
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence

from . import keys
from .batches import Batch
from .doorbell import Doorbell
from .exceptions import BrokerUnavailable
from .lease import GIVEN_UP, Lease
from .partitions import Partition

LEASE_MS = 2000
HEARTBEAT_MS = 500
# Every so many batches one is looked for from the low priority upwards.
LOW_TURN = 8


def worker_name(pid: int) -> str:
    """How the id of every worker begins that runs, or ran, as this process of this machine."""
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', socket.gethostname())}-{pid}"


class WorkerBroker:
    """One per worker process, made after it started; one thread claims, any may answer.

    Attributes:
        worker_id: machine, process and a random part, so that it is never taken for an earlier one.
    """

    def __init__(
        self, partitions: Sequence[Partition], *, lease_ms: int = LEASE_MS, heartbeat_ms: int = HEARTBEAT_MS
    ) -> None:
        """`lease_ms`: a worker silent for so long is dead; `heartbeat_ms`: how often it says that it is not."""
        if not partitions:
            raise ValueError("expected at least one partition, got none")
        if not 0 < heartbeat_ms < lease_ms:
            raise ValueError(f"heartbeat_ms must be above 0 and below lease_ms ({lease_ms}); got {heartbeat_ms}")
        self.worker_id = f"{worker_name(os.getpid())}-{secrets.token_hex(8)}"
        self._partitions = list(partitions)
        self._leases = [Lease(p, self.worker_id, lease_ms, heartbeat_ms) for p in self._partitions]
        self._doorbell = Doorbell(self._partitions)
        self._claim_lock = threading.Lock()
        self._queues: tuple[str, ...] = ()
        self._rung: list[tuple[int, str]] = []
        self._claims = 0

    def serve(self, queues: Sequence[tuple[str, str]]) -> None:
        """Announce the (model, version) pairs that this worker is ready for, and keep it alive from now on.

        May be called again with other pairs. Where Redis is away, it is done as soon as it is back.
        """
        self._queues = tuple(keys.queue_name(model, version) for model, version in queues)
        for lease in self._leases:
            lease.serve(self._queues)

    def claim(self, max_batch: int, queues: Sequence[tuple[str, str]] | None = None) -> Batch | None:
        """Take what waits, without waiting: up to `max_batch` jobs of one (model, version), or None.

        Queues and partitions take turns; priorities go high, normal, low, and every eighth time the other way round. A
        job that was with a lost worker comes alone.

        Args:
            queues: the pairs to look at; all that are served by default.

        Raises:
            BrokerUnavailable: no partition can be reached.
        """
        if max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {max_batch}")
        names = self._queues if queues is None else tuple(keys.queue_name(*pair) for pair in queues)
        if not names:
            return None
        with self._claim_lock:
            turn = self._claims % len(names)
            names = names[turn:] + names[:turn]
            failures: list[BrokerUnavailable] = []
            for offset in range(len(self._leases)):
                lease = self._leases[(self._claims + offset) % len(self._leases)]
                try:
                    batch = lease.claim(max_batch, names, self._claims % LOW_TURN == LOW_TURN - 1)
                except BrokerUnavailable as error:
                    failures.append(error)
                    continue
                if batch is not None:
                    self._claims += 1
                    self._pass_on_rings(batch)
                    return batch
            self._rung = []
            if len(failures) == len(self._leases):
                raise failures[0]
            return None

    def _pass_on_rings(self, batch: Batch) -> None:
        """Bells that rang for others than the batch taken are for another worker, if one is idle."""
        rung, self._rung = self._rung, []
        for index, queue in rung:
            if (index, queue) != (batch.partition, keys.queue_name(batch.model, batch.version)):
                try:
                    self._partitions[index].run("ring", queue)
                except BrokerUnavailable:
                    continue  # they look by themselves each second

    def wait(self, timeout_s: float) -> None:
        """Block until something may be there for the queues served, at most `timeout_s` seconds (and at most 5).

        Raises:
            BrokerUnavailable: no partition can be reached.
        """
        self._rung = self._doorbell.wait(self._queues, timeout_s)

    def finish(self, batch: Batch, answers: Mapping[str, bytes], *, seconds: float) -> int:
        """Answer jobs of a batch, all or some; errors are answers too.

        Args:
            batch: as it was claimed.
            answers: result JSON by UUID.
            seconds: what computing these took together, for the admission's estimate; 0 tells nothing.

        Returns:
            How many were accepted; not those that were cancelled, too late or answered by another worker. (Where the
            connection broke after Redis had taken them, those are not counted.)

        Raises:
            BrokerUnavailable: Redis was away for as long as the lease.
        """
        if not answers:
            return 0
        return self._leases[batch.partition].finish(batch, answers.items(), seconds)

    def give_back(self, batch: Batch, uuids: Iterable[str] | None = None) -> None:
        """Return jobs of a batch, all by default, to the head of their queue; it does not count as an attempt."""
        names = [job.uuid for job in batch.jobs] if uuids is None else list(uuids)
        if names:
            self._leases[batch.partition].give_back(batch, names)

    def reap_worker(self, worker_id: str) -> int:
        """Return the jobs of a worker that was seen to die, at once.

        Args:
            worker_id: its id, or what `worker_name` says of its process.

        Returns:
            How many jobs went back to the queue.

        Raises:
            BrokerUnavailable: a partition cannot be reached; its leases do the same within seconds.
        """
        returned = 0
        for partition in self._partitions:
            returned += partition.run("reap", "lost", worker_id, 0, GIVEN_UP)[1]
        return returned

    def close(self) -> None:
        """Leave in good order: batches still held go back to the queue."""
        for lease in self._leases:
            lease.close()
        self._doorbell.close()
        for partition in self._partitions:
            partition.close()
