"""A worker's place on one partition: its lease, the heartbeat that keeps it, and the batches it holds."""

import json
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from . import keys
from .batches import Batch, ClaimedJob
from .exceptions import BrokerUnavailable
from .partitions import Partition

logger = logging.getLogger(__name__)

INLINE_BYTES = 64 * 1024
REAPER_PAUSE_MS = 400
RETRY_S = 0.1
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
    """

    def __init__(self, partition: Partition, worker_id: str, lease_ms: int, heartbeat_ms: int) -> None:
        self.partition = partition
        self._worker_id = worker_id
        self._lease_ms = lease_ms
        self._heartbeat_s = heartbeat_ms / 1000
        self._queues: tuple[str, ...] = ()
        self._lock = threading.RLock()
        self._open: dict[int, tuple[Batch, set[str]]] = {}
        self._next_number = 1
        self._closing = threading.Event()
        self._away = False
        self._thread: threading.Thread | None = None

    def serve(self, queues: Sequence[str]) -> None:
        """Announce these queues, now if the server can be reached and else as soon as it can."""
        with self._lock:
            self._queues = tuple(queues)
            try:
                self._announce()
            except BrokerUnavailable as error:
                self._note_away(error)
            if self._thread is None:
                name = f"broker heartbeat {self.partition.index}"
                self._thread = threading.Thread(target=self._beat, name=name, daemon=True)
                self._thread.start()

    def claim(self, max_batch: int, queues: Sequence[str], from_low: bool) -> Batch | None:
        """Claim a batch of the first of these queues that has jobs; after a lost answer, the batch of then."""
        with self._lock:
            for _ in range(2):
                reply = self.partition.run(
                    "claim",
                    self._worker_id,
                    self._next_number,
                    max_batch,
                    self._lease_ms,
                    INLINE_BYTES,
                    int(from_low),
                    *queues,
                )
                if reply != b"lapsed":
                    break
                self._begin_anew()
            else:
                raise BrokerUnavailable(f"{self.partition.name} lets the lease lapse at once")
            return self._batch(reply) if reply else None

    def _batch(self, reply: list[Any]) -> Batch | None:
        queue = reply[0].decode()
        rows = [(reply[i].decode(), *reply[i + 1 : i + 4]) for i in range(1, len(reply), 4)]
        payloads = [payload for *_, payload in rows]
        large = [i for i, payload in enumerate(payloads) if payload is None]
        if large:
            for i, payload in zip(large, self.partition.payloads([rows[i][0] for i in large]), strict=True):
                payloads[i] = payload
        number, self._next_number = self._next_number, self._next_number + 1
        gone = [uuid for (uuid, *_), payload in zip(rows, payloads, strict=True) if payload is None]
        jobs = [
            ClaimedJob(uuid, payload, attempts, left_ms / 1000)
            for (uuid, attempts, left_ms, _), payload in zip(rows, payloads, strict=True)
            if payload is not None
        ]
        model, version = keys.split_queue_name(queue)
        batch = Batch(
            f"{self._worker_id}:{self.partition.index}:{number}",
            model,
            version,
            jobs,
            partition=self.partition.index,
            number=number,
        )
        if jobs:
            self._open[number] = (batch, {job.uuid for job in jobs})
        if gone:  # cancelled or late since the claim; what is not tidied up now expires
            with suppress(BrokerUnavailable):
                self.partition.run("give_back", self._worker_id, number, *gone)
        return batch if jobs else None

    def finish(self, batch: Batch, answers: Iterable[tuple[str, bytes]], seconds: float) -> int:
        """Answer jobs of a batch; tried until the lease must have run out."""
        answers = list(answers)
        pairs = [part for pair in answers for part in pair]
        until = time.monotonic() + self._lease_ms / 1000
        while True:
            if batch.lost:
                return 0
            try:
                arguments = (self._worker_id, batch.number, f"{seconds * 1000:.3f}", *pairs)
                accepted = int(self.partition.run("finish", *arguments))
                break
            except BrokerUnavailable:
                if time.monotonic() >= until or self._closing.wait(RETRY_S):
                    raise
        self._release(batch, [uuid for uuid, _ in answers])
        return accepted

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
        self.partition.run("announce", self._worker_id, self._lease_ms, " ".join(self._queues))

    def _begin_anew(self) -> None:
        """Taken for dead: give up all that was held, then announce again under an empty name."""
        logger.warning("the lease on %s ran out; %d batches are lost", self.partition.name, len(self._open))
        for batch, _ in self._open.values():
            batch.lost = True
        self._open.clear()
        # Nobody may have noticed yet; what this worker held must not become its own again unseen.
        self.partition.run("reap", "lapsed", self._worker_id, 0, GIVEN_UP)
        self._announce()

    def _beat(self) -> None:
        wait_s = 0.0
        while not self._closing.wait(wait_s):
            wait_s = self._heartbeat_s
            try:
                with self._lock:
                    if self.partition.run("renew", self._worker_id, self._lease_ms) == 0:
                        self._begin_anew()
                reaped, returned, dead = self.partition.run("reap", "lapsed", "", REAPER_PAUSE_MS, GIVEN_UP)
                if reaped:
                    logger.warning("reaped %d workers: %d jobs returned, %d given up", reaped, returned, dead)
                if self._away:
                    logger.info("%s is reachable again", self.partition.name)
                    self._away = False
            except BrokerUnavailable as error:
                self._note_away(error)
                wait_s = RETRY_S
            except Exception:  # a worker without a heartbeat would be taken for dead
                logger.exception("the heartbeat on %s failed and goes on", self.partition.name)

    def _note_away(self, error: BrokerUnavailable) -> None:
        if not self._away:
            logger.warning("%s", error)
            self._away = True
