"""Jobs on their way to a partition, first and again, and back out of it."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from .calls import ScriptCall
from .exceptions import BrokerUnavailable, QueueFull
from .load import QueueLimits
from .partitions import Partition, ServerFull
from .waiting import Waiting
from .wire import pack_parts

logger = logging.getLogger(__name__)

LONGEST_RETRY_S = 60.0
# Less than this is not worth a job: it could not be computed in time.
SHORTEST_RESUBMISSION_S = 0.02

_packed_once = lru_cache(maxsize=1024)(pack_parts)

GiveUp = Callable[[Waiting, int], None]


class Submission(ScriptCall):
    """A new job, offered to one partition after the other until one takes it.

    Where the connection breaks, the same partition is asked once more: the script knows what it has seen.
    """

    __slots__ = ("_choices", "_give_up", "_limits", "_refusals", "_waiting", "_web_id")

    first_time = True

    def __init__(
        self, waiting: Waiting, choices: Sequence[Partition], web_id: str, limits: QueueLimits, give_up: GiveUp
    ) -> None:
        """`choices`: in the order to ask them; `give_up(waiting, index)`: it may be on that partition, unseen."""
        self._waiting = waiting
        self._choices = choices
        self._web_id = web_id
        self._limits = limits
        self._give_up = give_up
        self._refusals: tuple[Exception, ...] = ()
        super().__init__(choices[0], "submit", (), self._take)

    def arguments(self) -> tuple[Any, ...]:
        """Of the script, at this moment."""
        waiting = self._waiting
        address = waiting.queue, waiting.priority, self._web_id
        return waiting.uuid, *address, self._left_ms(), waiting.payload, *self._terms()

    def packed(self, head: bytes) -> bytes:
        """The whole command; of most of its parts there are only a few, which are packed once."""
        waiting = self._waiting
        payload = waiting.payload
        left = b"%d" % self._left_ms()
        return b"".join(
            (
                b"*13\r\n%b$32\r\n%b\r\n" % (head, waiting.uuid.encode()),
                _packed_once(waiting.queue, waiting.priority, self._web_id),
                b"$%d\r\n%b\r\n$%d\r\n" % (len(left), left, len(payload)),
                payload,
                b"\r\n",
                _packed_once(*self._terms()),
            )
        )

    def _left_ms(self) -> int:
        left_ms = int((self._waiting.deadline - time.monotonic()) * 1000)
        return left_ms if left_ms > 0 else 1

    def _terms(self) -> tuple[int, int, int]:
        limits = self._limits
        if self.first_time:
            return limits.max_jobs, limits.max_bytes, int(self._repeated)
        return 0, limits.max_bytes, 1

    def _take(self, reply: Any) -> None:
        waiting, partition = self._waiting, self._partition
        refusal: Exception
        if isinstance(reply, ServerFull):
            refusal = QueueFull(str(reply), 1.0)
        elif isinstance(reply, Exception):
            if isinstance(reply, BrokerUnavailable):
                self._give_up(waiting, partition.index)  # it may have arrived all the same
            refusal = reply
        else:
            outcome, backlog_ms, entry = reply
            if outcome == b"late":
                refusal = too_late(backlog_ms / 1000, waiting.deadline - time.monotonic())
            elif outcome == b"full":
                refusal = full(backlog_ms / 1000)
            else:
                if waiting.partition not in (None, partition.index):
                    self._give_up(waiting, waiting.partition)  # it moved
                waiting.accept(partition.index, entry)
                if waiting.cancelled:
                    cancel(waiting, partition, self._give_up)
                return
        self._refusals += (refusal,)
        self._go_on()

    def _go_on(self) -> None:
        """To the next partition, if there is one and somebody still waits."""
        if self._waiting.done:
            return
        if len(self._refusals) == len(self._choices):
            self._refused()
            return
        self._partition = self._choices[len(self._refusals)]
        self._repeated = False
        self.send()

    def _refused(self) -> None:
        self._waiting.refuse(most_telling(self._refusals))


class Resubmission(Submission):
    """A job that was accepted before, and is so again whatever waits; being refused is no harm, it is tried again."""

    __slots__ = ()

    first_time = False

    def _refused(self) -> None:
        logger.debug("job %s could not be submitted again: %s", self._waiting.uuid, self._refusals[0])


def cancel(waiting: Waiting, partition: Partition, give_up: GiveUp) -> None:
    """Delete a job that nobody waits for any more, now or when the server is back."""

    def take(reply: Any) -> None:
        if isinstance(reply, BrokerUnavailable):
            give_up(waiting, partition.index)
        elif isinstance(reply, Exception):
            logger.warning("job %s could not be cancelled: %s", waiting.uuid, reply)

    ScriptCall(partition, "cancel", (waiting.uuid, waiting.queue, waiting.priority, waiting.entry), take).send()


def full(wait_s: float) -> QueueFull:
    """The refusal of a full queue."""
    # A tenth of what waits done is room enough for those who come back.
    return QueueFull("the queue is full", min(LONGEST_RETRY_S, max(1.0, wait_s / 10)))


def too_late(wait_s: float, deadline_s: float) -> QueueFull:
    """The refusal of a job that could not be answered in time."""
    return QueueFull(
        f"what waits already takes {wait_s:.1f} s, longer than the deadline of {deadline_s:.1f} s",
        min(LONGEST_RETRY_S, max(1.0, wait_s - deadline_s)),
    )


def most_telling(refusals: Sequence[Exception]) -> Exception:
    """Full rather than unreachable, and the one that asks to wait least."""
    waits = [refusal for refusal in refusals if isinstance(refusal, QueueFull)]
    return min(waits, key=lambda refusal: refusal.retry_after) if waits else refusals[0]
