"""What a web process knows of the load of one partition."""

import threading
import time
from collections.abc import Callable
from typing import Any

from .calls import ScriptCall
from .exceptions import BrokerUnavailable
from .load import PartitionLoad
from .partitions import Partition

REFRESH_AGE_S = 0.05
LONGEST_WAIT_S = 5.0


class _Request:
    """One that is on its way, and those who wait for it."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.load: PartitionLoad | None = None
        self.error: Exception | None = None


class ObservedLoad:
    """Asked for while somebody needs to know it, in the background where what is known will do."""

    def __init__(self, partition: Partition, on_ask: Callable[[], None]) -> None:
        """`on_ask` is called whenever the server was asked."""
        self._partition = partition
        self._on_ask = on_ask
        self._load: PartitionLoad | None = None
        self._seen = float("-inf")
        self._request: _Request | None = None

    def known(self) -> PartitionLoad | None:
        """The load as it was last, without waiting; None where nothing is known, or the server was away.

        It may be old, where nobody asked for long: enough to admit by, since the submission decides finally.
        """
        if time.monotonic() - self._seen > REFRESH_AGE_S and self._request is None:
            self._ask()
        return self._load

    def get(self, max_age_s: float) -> PartitionLoad:
        """The load, at most `max_age_s` seconds old; waits for it if need be.

        Raises:
            BrokerUnavailable: it cannot be had.
        """
        load = self._load
        if load is not None and time.monotonic() - self._seen <= max_age_s:
            return load
        request = self._request or self._ask()
        if not request.over.wait(LONGEST_WAIT_S):
            raise BrokerUnavailable(f"{self._partition.name} did not tell its load in time")
        if request.load is None:
            raise request.error or BrokerUnavailable(f"{self._partition.name} did not tell its load")
        return request.load

    def _ask(self) -> _Request:
        # Two threads may ask at once; that does no harm.
        self._request = request = _Request()
        asked = time.monotonic()

        def take(reply: Any) -> None:
            try:
                if isinstance(reply, Exception):
                    raise reply
                self._load = request.load = PartitionLoad.from_reply(reply)
                self._seen = asked
            except Exception as error:
                self._load, self._seen, request.error = None, float("-inf"), error
            self._request = None
            request.over.set()

        ScriptCall(self._partition, "state", (), take).send()
        self._on_ask()
        return request
