"""The worker side of the broker: claim, wait to be handed something, answer, give back."""

import os
import re
import secrets
import socket
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from . import keys
from .batches import Batch, Finished
from .claims import Mode
from .exceptions import BrokerUnavailable
from .lease import GIVEN_UP, Lease
from .mailbox import Mailbox
from .partitions import Partition

LEASE_MS = 2000
HEARTBEAT_MS = 500


def worker_name(pid: int) -> str:
    """How the id of every worker begins that runs, or ran, as this process of this machine."""
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', socket.gethostname())}-{pid}"


class WorkerBroker:
    """One per worker process, made after it started.

    One thread waits; another may claim ahead, finish and give back meanwhile. Several batches may be open at once.

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
        self._mailbox = Mailbox(self._partitions, self.worker_id)
        self._lock = threading.Lock()
        self._first = 0
        # Where several partitions handed something over in the same moment, all but the first.
        self._kept: deque[Batch] = deque()

    def serve(self, max_batches: Mapping[tuple[str, str], int]) -> None:
        """Announce the (model, version) pairs that this worker is ready for, and keep it alive from now on.

        May be called again with other pairs. Where Redis is away, it is done as soon as it is back.

        Args:
            max_batches: by (model, version), the most jobs in a batch, 1 to 1024.
        """
        for (model, version), most in max_batches.items():
            if not 1 <= most <= 1024:
                raise ValueError(f"the most jobs in a batch of {model}:{version} must be 1 to 1024, got {most}")
        queues = {keys.queue_name(model, version): most for (model, version), most in max_batches.items()}
        for lease in self._leases:
            lease.serve(queues)

    def claim(self, *, ahead: bool = False) -> Batch | None:
        """Take what waits, without waiting: jobs of one (model, version), or None.

        Queues and partitions take turns; priorities go high, normal, low, but every eighth batch begins with normal,
        and every eighth with low. A job that was with a lost worker comes alone.

        Args:
            ahead: another batch is computed meanwhile: no job that was with a lost worker is taken, since it would
                be under suspicion if that one ended this process.

        Raises:
            BrokerUnavailable: no partition can be reached.
        """
        with self._lock:
            return self._kept.popleft() if self._kept else self._take(Mode.AHEAD if ahead else Mode.LOOK)

    def wait(self, timeout_s: float) -> Batch | None:
        """Take what waits, or else wait to be handed something, at most about `timeout_s` seconds.

        Returns:
            None where nothing came, or another look is due: call it again.

        Raises:
            BrokerUnavailable: no partition can be reached.
        """
        with self._lock:
            if self._kept:
                return self._kept.popleft()
            indexes = self._reachable()
            if not all(self._leases[index].awaits for index in indexes):
                batch = self._take(Mode.WAIT)
                if batch is not None:
                    return batch
        try:
            mails = self._mailbox.wait(timeout_s, indexes)
        except BrokerUnavailable:
            self._look_next_time()
            raise
        if not mails:
            self._look_next_time()
            return None
        with self._lock:
            for index, mail in mails:
                batch = self._leases[index].handed_over(mail)
                if batch is not None:
                    self._kept.append(batch)
            if not self._kept:
                return None
            self._withdraw()
            return self._kept.popleft()

    def _look_next_time(self) -> None:
        """What was handed over may have been lost on its way; a claim gets it."""
        for lease in self._leases:
            lease.awaits = False

    def _reachable(self) -> list[int]:
        """Partitions to ask, beginning with the one whose turn it is: while one is there, those that are away are left
        to their heartbeats, since each try may cost a second in which the others are not listened to."""
        order = [(self._first + offset) % len(self._leases) for offset in range(len(self._leases))]
        return [index for index in order if not self._leases[index].away] or order

    def _take(self, mode: Mode) -> Batch | None:
        failures: list[BrokerUnavailable] = []
        indexes = self._reachable()
        for index in indexes:
            try:
                batch = self._leases[index].claim(mode)
            except BrokerUnavailable as error:
                if len(self._leases) > 1:
                    self._leases[index].note_away(error)
                failures.append(error)
                continue
            if batch is not None:
                self._first = (index + 1) % len(self._leases)
                self._withdraw()
                return batch
        if len(failures) == len(indexes):
            raise failures[0]
        return None

    def _withdraw(self) -> None:
        """Be handed nothing more, by any partition: it would lie here while others are idle."""
        for lease in self._leases:
            if lease.awaits:
                try:
                    batch = lease.claim(Mode.LOOK)
                except BrokerUnavailable as error:
                    lease.awaits = False  # what is handed over there is found by the next claim
                    lease.note_away(error)
                    continue
                if batch is not None:
                    self._kept.append(batch)

    def finish(self, batch: Batch, answers: Mapping[str, bytes], *, seconds: float, claim: bool = False) -> Finished:
        """Answer jobs of a batch, all or some; errors are answers too.

        Args:
            batch: as it was claimed.
            answers: result JSON by UUID.
            seconds: what computing these took together, for the admission's estimate; 0 tells nothing.
            claim: whether to take the next batch in the same round trip; where nothing waits, `wait` follows. Only for
                the thread that waits.

        Raises:
            BrokerUnavailable: Redis was away for as long as the lease, and there is no other partition; where there
                is, the batch is lost.
        """
        lease = self._leases[batch.partition]
        if not claim:
            return self._finish_one(lease, batch, answers, seconds)
        if len(self._leases) == 1:
            with self._lock:
                return lease.finish(batch, answers, seconds, partial(self._mailbox.run, 0))
        finished = self._finish_one(lease, batch, answers, seconds)  # and then it is another partition's turn
        with self._lock:
            try:
                following = self._kept.popleft() if self._kept else self._take(Mode.WAIT)
            except BrokerUnavailable:
                following = None  # the next call meets it
        return finished._replace(next=following)

    def _finish_one(self, lease: Lease, batch: Batch, answers: Mapping[str, bytes], seconds: float) -> Finished:
        try:
            return lease.finish(batch, answers, seconds)
        except BrokerUnavailable:
            if len(self._leases) == 1:
                raise
            lease.forsake()  # the other partitions' jobs must not wait for this one's return
            return Finished(0, tuple(answers), None)

    def give_back(self, batch: Batch, uuids: Iterable[str] | None = None) -> None:
        """Return jobs of a batch, all by default, to the head of their queue; it does not count as an attempt."""
        names = [job.uuid for job in batch.jobs] if uuids is None else list(uuids)
        if names:
            self._leases[batch.partition].give_back(batch, names)

    def reap_worker(self, worker_id: str, *, crashed: bool = False) -> int:
        """Return the jobs of a worker that was seen to die, at once.

        Args:
            worker_id: its id, or what `worker_name` says of its process.
            crashed: whether it ended by its own fault (a fault of the machine code, an exit of its own, its
                watchdog): then a job that it computed alone, and that had been lost before, is answered with an error.
                Otherwise such a job is given up when it is lost once more.

        Returns:
            How many jobs went back to the queue.

        Raises:
            BrokerUnavailable: a partition cannot be reached; its leases do the same within seconds.
        """
        mode = "crashed" if crashed else "lost"
        returned = 0
        for partition in self._partitions:
            returned += partition.run("reap", mode, worker_id, 0, GIVEN_UP)[1]
        return returned

    def close(self) -> None:
        """Leave in good order: batches still held go back to the queue."""
        for lease in self._leases:
            lease.close()
        self._mailbox.close()
        for partition in self._partitions:
            partition.close()
