"""How an idle worker waits on several partitions at once for what is handed over to it."""

import select
import time
from collections.abc import Sequence
from typing import Any

import redis

from . import scripts
from .exceptions import BrokerUnavailable
from .partitions import Partition
from .wire import ConnectionCut, Wire, pack, pack_script, script_head

# How long the server lets a pop wait. The pop outlives the wait that it was sent for, and serves the next one.
LONGEST_WAIT_S = 5.0
# Nothing will come of a reply that is later than this.
PATIENCE_S = 1.0

_NOTHING = object()


class Slot:
    """The mail of one partition, on a connection of its own: one blocking pop, sent first and answered later."""

    def __init__(self, partition: Partition, worker_id: str) -> None:
        self.partition = partition
        self._pool = partition.listening_client().connection_pool
        self._pop = pack(("BLPOP", f"{partition.start}mail:{worker_id}", LONGEST_WAIT_S))
        self._wire: Wire | None = None
        self._asked_at: float | None = None
        self._come: Any = _NOTHING

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script and, in the same go, ask for the mail, where it is not asked for; else as `Partition.run`."""
        if self._wire is None or self._asked_at is not None:
            return self.partition.run(script, *arguments)
        head = script_head(scripts.load(script).digest, self.partition.start)
        try:
            self._send(self._wire, pack_script(head, arguments) + self._pop)
            self._asked_at = time.monotonic()
            reply = self._reply(self._wire)
        except (redis.exceptions.RedisError, OSError):
            self.close()
            return self.partition.run(script, *arguments)  # what has been done already is not done twice
        if isinstance(reply, Exception):  # that it does not know the script, most likely
            return self.partition.run(script, *arguments)
        return reply

    def _reply(self, wire: Wire) -> Any:
        """To what was sent before the pop."""
        until = time.monotonic() + PATIENCE_S
        while True:
            if not _ready(wire, select.POLLIN, until - time.monotonic()):
                raise redis.exceptions.TimeoutError("no reply in time")
            replies = self._replies(wire)
            if replies:
                if len(replies) > 1:
                    self._come = replies[1]
                return replies[0]

    @staticmethod
    def _send(wire: Wire, data: bytes) -> None:
        left = memoryview(data)
        until = time.monotonic() + PATIENCE_S
        while left := left[wire.send(left) :]:
            if not _ready(wire, select.POLLOUT, until - time.monotonic()):
                raise redis.exceptions.TimeoutError("the server does not read")

    @staticmethod
    def _replies(wire: Wire) -> list[Any]:
        replies = wire.receive()
        if replies is None:
            raise ConnectionCut("the server closed the connection")
        return replies

    def ask(self) -> Wire:
        """Have the server send the next mail, if it does not already; raises BrokerUnavailable."""
        now = time.monotonic()
        try:
            # What came while nobody waited, such as during a long computation, lies there still.
            if self._wire is None:
                self._wire = Wire(self._pool)
                self._wire.unblock()
            elif self._is_late(now) and not (self.has_come or _ready(self._wire, select.POLLIN, 0)):
                raise redis.exceptions.TimeoutError("no reply in time")
            if self._asked_at is None:
                self._send(self._wire, self._pop)
                self._asked_at = now
        except (redis.exceptions.RedisError, OSError) as error:
            raise self._broken(error) from error
        return self._wire

    def _is_late(self, now: float) -> bool:
        return self._asked_at is not None and now > self._asked_at + LONGEST_WAIT_S + PATIENCE_S

    @property
    def has_come(self) -> bool:
        """Whether something can be read without waiting for it."""
        return self._come is not _NOTHING

    def read(self) -> bytes | None:
        """The mail, where it has come in full; raises BrokerUnavailable."""
        assert self._wire is not None, "read follows ask"
        reply, self._come = self._come, _NOTHING
        if reply is _NOTHING:
            try:
                replies = self._replies(self._wire)
            except (redis.exceptions.RedisError, OSError) as error:
                raise self._broken(error) from error
            if not replies:
                return None
            reply = replies[0]
        if isinstance(reply, redis.exceptions.RedisError):  # such as that the server has become a replica
            broken = self._broken(reply)
            raise broken if isinstance(broken, BrokerUnavailable) else BrokerUnavailable(str(broken)) from reply
        self._asked_at = None
        return bytes(reply[1]) if reply is not None else None

    def _broken(self, error: redis.exceptions.RedisError | OSError) -> Exception:
        self.close()
        if isinstance(error, OSError):
            error = ConnectionCut(str(error))
        return self.partition.translated(error)

    def close(self) -> None:
        """Close the connection; `ask` opens another one."""
        wire, self._wire, self._asked_at, self._come = self._wire, None, None, _NOTHING
        if wire is not None:
            wire.close()


class Mailbox:
    """Waits on all partitions with one thread and without polling. All of it is for that one thread."""

    def __init__(self, partitions: Sequence[Partition], worker_id: str) -> None:
        self._slots = [Slot(partition, worker_id) for partition in partitions]

    def run(self, index: int, script: str, *arguments: Any) -> Any:
        """As `Partition.run` of that partition, for a script after which mail is waited for."""
        return self._slots[index].run(script, *arguments)

    def wait(self, timeout_s: float, indexes: Sequence[int]) -> list[tuple[int, bytes]]:
        """Wait until something is handed over by these partitions, at most `timeout_s` seconds.

        Returns:
            (index of the partition, mail) of all that came; empty where nothing came in time, or a connection broke.

        Raises:
            BrokerUnavailable: no partition can be reached.
        """
        until = time.monotonic() + timeout_s
        slots = [self._slots[index] for index in indexes]
        while True:
            slots, wires = self._reachable(slots)
            mails = []
            left_s = until - time.monotonic()
            enough = left_s <= 0
            for slot in _readable(slots, wires, left_s):
                try:
                    mail = slot.read()
                except BrokerUnavailable:  # and with the connection, perhaps, what was handed over
                    enough = True
                    continue
                if mail is not None:
                    mails.append((slot.partition.index, mail))
            if mails or enough:
                return mails

    @staticmethod
    def _reachable(slots: Sequence[Slot]) -> tuple[list[Slot], list[Wire]]:
        """Those that can be waited for, with their connections."""
        reachable, wires, failure = [], [], None
        for slot in slots:
            try:
                wires.append(slot.ask())
                reachable.append(slot)
            except BrokerUnavailable as error:
                failure = error
        if failure is not None and not reachable:
            raise failure
        return reachable, wires

    def close(self) -> None:
        """Close the connections."""
        for slot in self._slots:
            slot.close()


def _readable(slots: Sequence[Slot], wires: Sequence[Wire], timeout_s: float) -> list[Slot]:
    come = [slot for slot in slots if slot.has_come]
    if come:
        return come
    if len(slots) == 1:
        return list(slots) if _ready(wires[0], select.POLLIN, timeout_s) else []
    poll = select.poll()
    numbers = [wire.fileno() for wire in wires]
    for number in numbers:
        poll.register(number, select.POLLIN)
    ready = {number for number, _ in poll.poll(max(0.0, timeout_s) * 1000)}
    return [slot for slot, number in zip(slots, numbers, strict=True) if number in ready]


def _ready(wire: Wire, event: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(wire.fileno(), event)
    return bool(poll.poll(max(0.0, timeout_s) * 1000))
