"""How an idle worker waits on several partitions at once for "look, a job waits"."""

import select
import time
from collections.abc import Sequence
from typing import Any

import redis

from .exceptions import BrokerUnavailable
from .partitions import Partition

LONGEST_WAIT_S = 5.0


class Line:
    """One blocking pop on one partition, sent first and answered later."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self._pool = partition.listening_client(LONGEST_WAIT_S).connection_pool
        self._connection: Any = None
        self._client_id = 0

    def ask(self, queues: Sequence[str], timeout_s: float) -> None:
        """Begin to wait for one of these queues to ring."""
        bells = [f"{self.partition.start}{queue}:bell" for queue in queues]
        try:
            if self._connection is None:
                self._connection = self._pool.get_connection()
                self._connection.send_command("CLIENT", "ID")
                self._client_id = self._connection.read_response()
            self._connection.send_command("BLPOP", *bells, f"{timeout_s:.3f}")
        except redis.exceptions.RedisError as error:
            self._drop()
            raise self.partition.translated(error) from error

    def fileno(self) -> int:
        """Of the socket on which the answer comes; the client library has no public name for it."""
        return int(self._connection._sock.fileno())

    def hang_up(self) -> None:
        """Have the server answer now, though nothing rang."""
        try:
            self.partition.perform(lambda client: client.client_unblock(self._client_id))
        except BrokerUnavailable:
            self._drop()

    def answer(self) -> str | None:
        """The queue that rang, or None; raises BrokerUnavailable."""
        if self._connection is None:
            return None
        try:
            rung = self._connection.read_response()
        except redis.exceptions.RedisError as error:
            self._drop()
            raise self.partition.translated(error) from error
        if rung is None:
            return None
        return str(rung[0][len(self.partition.start) : -len(":bell")].decode())

    def _drop(self) -> None:
        self.close()
        self._connection = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.disconnect()
            self._pool.release(self._connection)
            self._connection = None


class Doorbell:
    """Waits on all partitions with one thread and without polling."""

    def __init__(self, partitions: Sequence[Partition]) -> None:
        self._lines = [Line(partition) for partition in partitions]

    def wait(self, queues: Sequence[str], timeout_s: float) -> list[tuple[int, str]]:
        """Wait until a bell rings, at most `timeout_s` seconds.

        Returns:
            (index of the partition, queue) of every ring that was taken.

        Raises:
            BrokerUnavailable: no partition can be reached.
        """
        timeout_s = min(max(timeout_s, 0.001), LONGEST_WAIT_S)
        asked, failure = [], None
        for line in self._lines:
            try:
                line.ask(queues, timeout_s)
                asked.append(line)
            except BrokerUnavailable as error:
                failure = error
        if failure and not asked:
            raise failure
        if len(asked) > 1:  # a single one is answered by the server in time
            self._wait_for_any(asked, timeout_s)
        rung = []
        for line in asked:
            try:
                queue = line.answer()
            except BrokerUnavailable as error:
                failure = error
                if len(asked) == 1:
                    raise
                continue
            if queue is not None:
                rung.append((line.partition.index, queue))
        return rung

    @staticmethod
    def _wait_for_any(asked: list[Line], timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        poll = select.poll()
        for line in asked:
            poll.register(line.fileno(), select.POLLIN)
        ready = {number for number, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000)}
        for line in asked:
            if line.fileno() not in ready:
                line.hang_up()

    def close(self) -> None:
        """Close the connections."""
        for line in self._lines:
            line.close()
