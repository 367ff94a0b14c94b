"""The one reader of a partition in a web process: takes the answers, and looks after jobs that have waited for long."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import redis

from .exceptions import BrokerUnavailable
from .partitions import Partition
from .waiting import Waiting

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
REPLIES_AT_ONCE = 128
PROBES_AT_ONCE = 256
LONGEST_BACKOFF_S = 0.5


class Reader:
    """A thread that blocks on the reply list of this web process.

    The list is a hint, the result keys are the truth: each second, and after each reconnection, it asks for every job
    of this partition that nothing was heard of for a second: a result is an answer, a job that the server does not
    know is submitted again.
    """

    def __init__(
        self,
        partition: Partition,
        web_id: str,
        waiting: dict[str, Waiting],
        resubmit: Callable[[Waiting, Partition | None], None],
    ) -> None:
        """`waiting`: all jobs of the process by UUID; `resubmit(job, partition)`: None means any other one."""
        self._partition = partition
        self._reply_list = f"{partition.start}reply:{web_id}"
        self._waiting = waiting
        self._resubmit = resubmit
        self._pool = partition.listening_client(LOOK_EVERY_S).connection_pool
        self._connection: Any = None
        self._read_results: list[str] = []
        self._abandoned: deque[str] = deque(maxlen=1000)
        self._closing = threading.Event()
        self._next_look = 0.0
        self._thread = threading.Thread(target=self._run, name=f"broker reader {partition.index}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def abandon(self, uuid: str) -> None:
        """Delete this job when the server can be reached again; should that be late, its deadline does."""
        self._abandoned.append(uuid)

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        try:  # wakes the thread from its blocking pop
            self._partition.perform(lambda client: client.rpush(self._reply_list, b""))
            self._partition.perform(lambda client: client.pexpire(self._reply_list, 1000))
        except BrokerUnavailable:
            pass
        self._thread.join(LOOK_EVERY_S + 1)
        self._pool.disconnect()

    def _run(self) -> None:
        away_since: float | None = None
        backoff_s = 0.0
        while not self._closing.is_set():
            try:
                self._look()
                if away_since is not None:
                    logger.info("%s is reachable again", self._partition.name)
                    away_since, backoff_s = None, 0.0
                self._read()
            except BrokerUnavailable as error:
                if away_since is None:
                    logger.warning("%s", error)
                    away_since = time.monotonic()
                self._next_look = 0.0
                if time.monotonic() - away_since > LOOK_EVERY_S:
                    self._move_elsewhere()
                backoff_s = min(LONGEST_BACKOFF_S, backoff_s + 0.05)
                self._closing.wait(backoff_s)
            except Exception:  # a reader that ended would leave everybody waiting
                logger.exception("the reader of %s failed and goes on", self._partition.name)
                self._closing.wait(LONGEST_BACKOFF_S)

    def _read(self) -> None:
        """Wait for answers, at most until the next look, and deliver all that are there."""
        wait_s = max(0.05, min(LOOK_EVERY_S, self._next_look - time.monotonic()))
        # In one go: results that were read are deleted, all that came meanwhile is taken, the next one waited for.
        unlink = [("UNLINK", *self._read_results)] if self._read_results else []
        pop: list[tuple[Any, ...]] = [("LPOP", self._reply_list, REPLIES_AT_ONCE)]
        wait = [("BLPOP", self._reply_list, f"{wait_s:.3f}")]
        try:
            if self._connection is None:
                self._connection = self._pool.get_connection()
            connection = self._connection
            connection.send_packed_command(connection.pack_commands(unlink + pop + wait))
            if unlink:
                connection.read_response()
                self._read_results = []
            self._deliver(connection.read_response() or ())
            popped = connection.read_response()
        except redis.exceptions.RedisError as error:
            self._hang_up()
            raise self._partition.translated(error) from error
        if popped is not None:
            self._deliver(popped[1:])

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._pool.release(connection)

    def _deliver(self, replies: Iterable[bytes]) -> None:
        """Hand out answers, and note the names of the result keys that are of no more use."""
        for reply in replies:
            name, _, answer = reply.partition(b" ")
            uuid = name.decode()
            if uuid:
                self._read_results.append(f"{self._partition.start}result:{uuid}")
                self._resolve(uuid, answer)

    def _resolve(self, uuid: str, answer: bytes) -> None:
        waiting = self._waiting.pop(uuid, None)
        if waiting is not None:
            waiting.resolve(answer)

    def _mine(self) -> list[Waiting]:
        index = self._partition.index
        return [waiting for waiting in list(self._waiting.values()) if waiting.partition == index]

    def _look(self) -> None:
        """Ask for those that have waited for long, if it is time to."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._cancel_abandoned()
        overdue = []
        for waiting in self._mine():
            if now > waiting.deadline + LOOK_EVERY_S:  # nobody asked for its result
                self._waiting.pop(waiting.uuid, None)
            elif self._next_look == 0.0 or now - waiting.looked_at > LOOK_EVERY_S:
                overdue.append(waiting)
        for first in range(0, len(overdue), PROBES_AT_ONCE):
            self._probe(overdue[first : first + PROBES_AT_ONCE])
        if self._next_look == 0.0:  # tells in time that the server is away, and that it is back
            self._partition.perform(lambda client: client.ping())
        self._next_look = time.monotonic() + LOOK_EVERY_S

    def _cancel_abandoned(self) -> None:
        while self._abandoned:
            uuid = self._abandoned[0]
            waiting = self._waiting.get(uuid)
            # One that is waited for, here, was submitted again and is wanted.
            if waiting is None or waiting.partition != self._partition.index:
                self._partition.run("cancel", uuid)
            self._abandoned.popleft()

    def _probe(self, overdue: list[Waiting]) -> None:
        states = self._partition.run("probe", *(waiting.uuid for waiting in overdue))
        now = time.monotonic()
        for waiting, state in zip(overdue, states, strict=True):
            waiting.looked_at = now
            if isinstance(state, bytes):
                self._resolve(waiting.uuid, state)
            elif state == 0 and not waiting.done:
                self._resubmit(waiting, self._partition)

    def _move_elsewhere(self) -> None:
        """The server has been away for long: its jobs go to another partition, where there is one."""
        for waiting in self._mine():
            if not waiting.done:
                self._resubmit(waiting, None)
