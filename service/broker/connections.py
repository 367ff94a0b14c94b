"""Open connections to one server, lent to one command at a time."""

import threading
from typing import Any

import redis


class Connections:
    """What the hot path sends its commands over; safe to use from many threads.

    The client library's own way asks the operating system before each command whether the connection still stands,
    and measures and retries around it; all of that costs more than the command. Here a connection that broke shows
    when it is used, and the caller repeats what may be repeated.
    """

    def __init__(self, pool: redis.ConnectionPool, most: int, patience_s: float) -> None:
        """`pool`: where connections are made; `most`: open at once; `patience_s`: the longest wait for one of them."""
        self._pool = pool
        self._patience_s = patience_s
        self._lendable = threading.BoundedSemaphore(most)
        self._idle: list[Any] = []

    def call(self, *command: Any) -> Any:
        """The server's answer, as bytes, numbers and lists of them; errors are those of the client library."""
        if not self._lendable.acquire(timeout=self._patience_s):
            raise redis.exceptions.ConnectionError("all connections are in use")
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._pool.get_connection()
            try:
                connection.send_command(*command)
                answer = connection.read_response()
            except redis.exceptions.ResponseError:  # an answer like others
                self._idle.append(connection)
                raise
            except BaseException:  # an answer may still come, and would be taken for that of the next command
                self._give_back(connection)
                self.drop_idle()  # what ended one connection probably ended all
                raise
            self._idle.append(connection)
            return answer
        finally:
            self._lendable.release()

    def drop_idle(self) -> None:
        """Close those that nobody uses at the moment."""
        while True:
            try:
                self._give_back(self._idle.pop())
            except IndexError:
                return

    def close(self) -> None:
        """Close all."""
        self.drop_idle()
        self._pool.disconnect()

    def _give_back(self, connection: Any) -> None:
        connection.disconnect()
        self._pool.release(connection)
