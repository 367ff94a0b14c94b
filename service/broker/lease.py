"""A worker's place on one partition: its lease, the heartbeat that keeps it, and the batches it holds."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from . import keys
from .batches import Batch, ClaimedJob, Finished
from .claims import Claims, Mode
from .exceptions import BrokerUnavailable
from .partitions import Partition

logger = logging.getLogger(__name__)

REAPER_PAUSE_MS = 400
RETRY_S = 0.1
# What a batch cost is told no more often than this for each queue: it is a mean that moves slowly.
COST_EVERY_S = 0.1
GIVEN_UP = json.dumps(
    {
        "success": False,
        "error": {
            "code": "model_failed",
            "message": "the workers that computed this image were lost, each time; it is not tried again",
        },
    }
).encode()


class Lease:
    """Keeps one worker alive on one partition.

    Every heartbeat renews the lease and reaps workers whose lease ran out. Where its own ran out, the worker was taken
    for dead: its batches are lost, and it begins anew.

    Attributes:
        awaits: whether a job may be handed over, as far as is known here.
        away: whether the server could not be reached when it was tried last; the heartbeat goes on trying.
    """

    def __init__(self, partition: Partition, worker_id: str, lease_ms: int, heartbeat_ms: int) -> None:
        self.partition = partition
        self.awaits = False
        self.away = False
        self._worker_id = worker_id
        self._lease_ms = lease_ms
        self._heartbeat_s = heartbeat_ms / 1000
        self._claims = Claims({})
        self._lock = threading.RLock()
        self._open: dict[int, tuple[Batch, set[str]]] = {}
        self._next_number = 1
        self._cost_told: dict[tuple[str, str], float] = {}
        self._closing = threading.Event()
        self._forsaken = False
        self._thread: threading.Thread | None = None

    def serve(self, max_batches: Mapping[str, int]) -> None:
        """Announce these queues, now if the server can be reached and else as soon as it can."""
        with self._lock:
            self._claims = Claims(max_batches)
            self.awaits = False
            try:
                self._announce()
            except BrokerUnavailable as error:
                self.note_away(error)
            if self._thread is None:
                name = f"broker heartbeat {self.partition.index}"
                self._thread = threading.Thread(target=self._beat, name=name, daemon=True)
                self._thread.start()

    def claim(self, mode: Mode) -> Batch | None:
        """Claim a batch; after a lost answer, the batch of then."""
        with self._lock:
            if self._forsaken:
                self._begin_anew()
            for _ in range(2):
                reply = self.partition.run("claim", self._worker_id, *self._claim_arguments(mode))
                if reply != b"lapsed":
                    return self._claimed(reply, mode)
                self._begin_anew()
            raise BrokerUnavailable(f"{self.partition.name} lets the lease lapse at once")

    def _claim_arguments(self, mode: Mode) -> tuple[Any, ...]:
        return self._claims.arguments(self._next_number, self._lease_ms, mode)

    def _claimed(self, reply: list[Any], mode: Mode) -> Batch | None:
        """The batch that the script speaks of, if it does."""
        self.awaits = mode is Mode.WAIT and not reply
        if not reply:
            return None
        self._claims.taken()
        rows = [(reply[i].decode(), *reply[i + 1 : i + 4]) for i in range(1, len(reply), 4)]
        return self._opened(reply[0].decode(), rows)

    def handed_over(self, mail: bytes) -> Batch | None:
        """The batch in a mail; None where it says only "look again", or comes too late."""
        header, inline, payload = mail.partition(b"\n")
        with self._lock:
            self.awaits = False
            if not header:
                return None
            number, queue, uuid, left_ms = header.decode().split(" ")
            if int(number) != self._next_number:  # it was claimed meanwhile, or the lease ran out
                return None
            return self._opened(queue, [(uuid, 0, int(left_ms), payload if inline else None)])

    def _opened(self, queue: str, rows: Sequence[tuple[str, int, int, bytes | None]]) -> Batch | None:
        """A new batch, with those payloads that did not come along."""
        payloads = [payload for *_, payload in rows]
        large = [i for i, payload in enumerate(payloads) if payload is None]
        if large:
            for i, payload in zip(large, self.partition.payloads([rows[i][0] for i in large]), strict=True):
                payloads[i] = payload
        number, self._next_number = self._next_number, self._next_number + 1
        jobs, gone = [], []
        for (uuid, attempts, left_ms, _), payload in zip(rows, payloads, strict=True):
            if payload is None:
                gone.append(uuid)
            else:
                jobs.append(ClaimedJob(uuid, payload, attempts, left_ms / 1000))
        if gone:  # cancelled or late since the claim; what is not tidied up now goes with the worker
            with suppress(BrokerUnavailable):
                self.partition.run("give_back", self._worker_id, number, *gone)
        if not jobs:
            return None
        model, version = keys.split_queue_name(queue)
        index = self.partition.index
        batch = Batch(f"{self._worker_id}:{index}:{number}", model, version, jobs, partition=index, number=number)
        self._open[number] = (batch, {job.uuid for job in jobs})
        return batch

    def finish(
        self, batch: Batch, answers: Mapping[str, bytes], seconds: float, claim_by: Callable[..., Any] | None = None
    ) -> Finished:
        """Answer jobs of a batch; tried until the lease must have run out.

        Args:
            batch, answers, seconds: as for `WorkerBroker.finish`.
            claim_by: what runs the script if the next batch is wanted as well.
        """
        until = time.monotonic() + self._lease_ms / 1000
        pairs = [part for pair in answers.items() for part in pair]
        told = (batch.number, self._cost_ms(batch, seconds), len(answers), *pairs)
        while True:
            if batch.lost:
                return Finished(0, (), None)
            try:
                if claim_by is None:
                    return self._finished(batch, answers, self.partition.run("finish", self._worker_id, *told))
                with self._lock:
                    wanted = self._claim_arguments(Mode.WAIT)
                    return self._finished(batch, answers, claim_by("finish", self._worker_id, *told, *wanted))
            except BrokerUnavailable:
                if time.monotonic() >= until or self._closing.wait(RETRY_S):
                    raise

    def forsake(self) -> None:
        """Give up all that is held: the server has been away for longer than the lease, and others are there."""
        with self._lock:
            self._lose_all()
            self._forsaken = True  # should the lease have outlived the absence, it must not keep these jobs

    def _finished(self, batch: Batch, answers: Iterable[str], reply: list[Any]) -> Finished:
        self._release(batch, answers)
        accepted, refused, *claimed = reply
        following = None
        if claimed == [b"lapsed"]:
            self._begin_anew()
        elif claimed:
            following = self._claimed(claimed[0], Mode.WAIT)
        return Finished(accepted, tuple(uuid.decode() for uuid in refused), following)

    def _cost_ms(self, batch: Batch, seconds: float) -> str:
        now = time.monotonic()
        queue = (batch.model, batch.version)
        if not seconds or now - self._cost_told.get(queue, -COST_EVERY_S) < COST_EVERY_S:
            return "0"
        self._cost_told[queue] = now
        return f"{seconds * 1000:.3f}"

    def give_back(self, batch: Batch, uuids: Sequence[str]) -> None:
        """Return jobs of a batch to the head of their queue."""
        if not batch.lost:
            self.partition.run("give_back", self._worker_id, batch.number, *uuids)
            self._release(batch, uuids)

    def _release(self, batch: Batch, uuids: Iterable[str]) -> None:
        with self._lock:
            _, left = self._open.get(batch.number, (batch, set()))
            left.difference_update(uuids)
            if not left:
                self._open.pop(batch.number, None)

    def close(self) -> None:
        """End in good order: what is still held goes back, without counting as an attempt."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(self._heartbeat_s + 3)
        try:
            with self._lock:
                self.partition.run("reap", "left", self._worker_id, 0, GIVEN_UP)
        except BrokerUnavailable as error:
            logger.warning("could not sign off: %s", error)

    def _announce(self) -> None:
        self.partition.run("announce", self._worker_id, self._lease_ms, " ".join(self._claims.queues))

    def _begin_anew(self) -> None:
        """Taken for dead: give up all that was held, then announce again under an empty name."""
        if not self._forsaken:
            logger.warning("the lease on %s ran out; %d batches are lost", self.partition.name, len(self._open))
        self._lose_all()
        # Nobody may have noticed yet; what this worker held must not become its own again unseen.
        mode = "left" if self._forsaken else "lapsed"
        self.partition.run("reap", mode, self._worker_id, 0, GIVEN_UP)
        self._announce()
        self._forsaken = False

    def _lose_all(self) -> None:
        for batch, _ in self._open.values():
            batch.lost = True
        self._open.clear()
        self.awaits = False
        self._next_number += 1  # a mail that is still on its way is void

    def _beat(self) -> None:
        wait_s = 0.0
        while not self._closing.wait(wait_s):
            wait_s = self._heartbeat_s
            try:
                with self._lock:
                    if self._forsaken or self.partition.run("renew", self._worker_id, self._lease_ms) == 0:
                        self._begin_anew()
                reaped, returned, dead = self.partition.run("reap", "lapsed", "", REAPER_PAUSE_MS, GIVEN_UP)
                if reaped:
                    logger.warning("reaped %d workers: %d jobs returned, %d given up", reaped, returned, dead)
                if self.away:
                    logger.info("%s is reachable again", self.partition.name)
                    self.away = False
            except BrokerUnavailable as error:
                self.note_away(error)
                wait_s = RETRY_S
            except Exception:  # a worker without a heartbeat would be taken for dead
                logger.exception("the heartbeat on %s failed and goes on", self.partition.name)

    def note_away(self, error: BrokerUnavailable) -> None:
        """The server could not be reached just now."""
        if not self.away:
            logger.warning("%s", error)
            self.away = True
