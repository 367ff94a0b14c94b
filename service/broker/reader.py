"""What a web process hears from one partition: the answers, and what became of jobs that have waited for long."""

import logging
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any

import redis

from .calls import ScriptCall
from .exceptions import BrokerUnavailable
from .partitions import TIMEOUT_S, Partition
from .waiting import Waiting
from .wire import pack

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
REPLIES_AT_ONCE = 128
PROBES_AT_ONCE = 256
RESULTS_AT_ONCE = 256
MOVE_EVERY_S = 0.5
LONGEST_BACKOFF_S = 0.5
_PING = pack(("PING",))


class Reader:
    """Blocks on the reply list of this web process, over a pipeline of its own, and looks after the jobs that wait.

    The list is a hint, the result keys are the truth: each second, and after each reconnection, it asks for every job
    of this partition that nothing was heard of for a second: a result is an answer, a job that the server does not
    know is submitted again.
    """

    def __init__(
        self,
        partition: Partition,
        web_id: str,
        jobs: MutableMapping[str, Waiting],
        resubmit: Callable[[Waiting, Partition | None], None],
    ) -> None:
        """`jobs`: all of the process by UUID; `resubmit(job, partition)`: None means any other one."""
        self._partition = partition
        self._jobs = jobs
        self._resubmit = resubmit
        self.pipeline = partition.new_pipeline(LOOK_EVERY_S + TIMEOUT_S)
        name = f"{partition.start}reply:{web_id}"
        self._wait = pack(("BLPOP", name, LOOK_EVERY_S))
        self._take_and_wait = pack(("LPOP", name, REPLIES_AT_ONCE)) + self._wait
        self._result = f"{partition.start}result:".encode()
        self._read: deque[bytes] = deque()
        self._abandoned: deque[tuple[Any, ...]] = deque(maxlen=1000)
        self._listening = False
        self._away_since: float | None = None
        self._try_at = 0.0
        self._backoff_s = 0.0
        self._next_look = 0.0
        self._closing = False

    @property
    def busy(self) -> bool:
        """Whether there is something to do soon."""
        return bool(self._read or (self._abandoned and self._away_since is None))

    def abandon(self, waiting: Waiting) -> None:
        """Delete this job when the server can be reached again; should that be late, its deadline does."""
        entry = waiting.entry if waiting.partition == self._partition.index else b""
        self._abandoned.append((waiting.uuid, waiting.queue, waiting.priority, entry))

    def tick(self, now: float) -> None:
        """Do what is due: listen (again), look after those that have waited for long, tidy up."""
        if not self._listening and now >= self._try_at:
            self._listen()
        if self._away_since is not None:
            if now - self._away_since > LOOK_EVERY_S:
                self._move_elsewhere(now)
            return
        self._delete_read()
        if now >= self._next_look:
            self._next_look = now + LOOK_EVERY_S
            self._cancel_abandoned()
            self._probe([job for job in self._mine() if now - job.looked_at > LOOK_EVERY_S])

    def close(self) -> None:
        """Stop reading."""
        self._closing = True
        self._delete_read()
        self.pipeline.close(at_once=True)

    def _listen(self) -> None:
        self._listening = True
        self.pipeline.send(_PING + self._wait, self._on_reachable, self._on_popped)

    def _on_reachable(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            return  # the reply to the wait, which follows, is the same
        self._backoff_s = 0.0
        if self._away_since is not None:
            logger.info("%s is reachable again", self._partition.name)
            self._away_since = None
            self._probe(self._mine())  # answers may have been lost with the connection

    def _on_popped(self, reply: Any) -> None:
        """An answer came, or none within a second: deliver it and wait for the next one."""
        if isinstance(reply, Exception):
            self._on_away(reply)
            return
        if reply is not None:
            self._deliver(reply[1])
        if reply is not None and self._jobs:  # where one answer is, more may be
            self.pipeline.send(self._take_and_wait, self._on_taken, self._on_popped)
        else:
            self.pipeline.send(self._wait, self._on_popped)

    def _on_taken(self, reply: Any) -> None:
        if isinstance(reply, list):
            for answer in reply:
                self._deliver(answer)

    def _on_away(self, error: Exception) -> None:
        if self._closing:
            return
        self._listening = False
        if isinstance(error, redis.exceptions.RedisError):
            error = self._partition.translated(error)
        self.pipeline.reset()  # where it was an answer, such as that of a replica, a new connection may do better
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            if isinstance(error, BrokerUnavailable):
                logger.warning("%s", error)
            else:
                logger.error("no answers can be read from %s: %s", self._partition.name, error)
        if self._backoff_s == 0.0:  # a connection that was cut may be made again at once
            self._listen()
        self._try_at = now + self._backoff_s
        self._backoff_s = min(LONGEST_BACKOFF_S, self._backoff_s + 0.05)

    def _deliver(self, reply: bytes) -> None:
        """Hand out one answer, and note that its result key is of no more use."""
        name, _, answer = reply.partition(b" ")
        if name:
            self._read.append(name)
            waiting = self._jobs.get(name.decode("ascii", "replace"))
            if waiting is not None:
                waiting.resolve(answer)

    def _delete_read(self) -> None:
        while self._read:
            names = [self._result + self._read.popleft() for _ in range(min(len(self._read), RESULTS_AT_ONCE))]
            # Should it not arrive, they expire.
            self._partition.pipeline.send(pack(("UNLINK", *names)), _ignore)

    def _mine(self) -> list[Waiting]:
        index = self._partition.index
        return [waiting for waiting in list(self._jobs.values()) if waiting.partition == index]

    def _cancel_abandoned(self) -> None:
        for _ in range(len(self._abandoned)):
            job = self._abandoned.popleft()
            waiting = self._jobs.get(job[0])
            # One that is waited for, here, was submitted again and is wanted.
            if waiting is None or waiting.partition != self._partition.index:
                ScriptCall(self._partition, "cancel", job, partial(self._on_cancelled, job)).send()

    def _on_cancelled(self, job: tuple[Any, ...], reply: Any) -> None:
        if isinstance(reply, BrokerUnavailable):
            self._abandoned.append(job)

    def _probe(self, overdue: list[Waiting]) -> None:
        now = time.monotonic()
        for waiting in overdue:
            waiting.looked_at = now
        for first in range(0, len(overdue), PROBES_AT_ONCE):
            part = overdue[first : first + PROBES_AT_ONCE]
            uuids = tuple(waiting.uuid for waiting in part)
            ScriptCall(self._partition, "probe", uuids, partial(self._on_probed, part)).send()

    def _on_probed(self, probed: list[Waiting], reply: Any) -> None:
        if isinstance(reply, Exception):
            return  # the next look asks again
        for waiting, state in zip(probed, reply, strict=True):
            if isinstance(state, bytes):
                self._read.append(waiting.uuid.encode())
                waiting.resolve(state)
            elif state == 0 and not waiting.done:
                self._resubmit(waiting, self._partition)

    def _move_elsewhere(self, now: float) -> None:
        """The server has been away for long: its jobs go to another partition, where there is one."""
        if now >= self._next_look:
            self._next_look = now + MOVE_EVERY_S
            for waiting in self._mine():
                if not waiting.done:
                    self._resubmit(waiting, None)


def _ignore(_reply: Any) -> None:
    return
