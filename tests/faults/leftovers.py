"""What lies in the queue server: every key must have a time to live, and be one of the map in `service.broker.keys`."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import redis

from service.broker.keys import PATTERNS, prefix

LOOK_EVERY_S = 0.5
KEYS_AT_ONCE = 1000
_START = prefix("p")
_KNOWN = {kind: re.compile("|".join(f"(?:{one})" for one in patterns)) for kind, patterns in PATTERNS.items()}
_FOREVER = -1  # what PTTL says of a key without a time to live


def faulty_keys(client: redis.Redis) -> set[str]:
    """Keys that would stay for ever, and keys that nobody knows, each with what is wrong; one pass over all.

    Raises:
        redis.RedisError: the server is away.
    """
    found = set()
    names = list(client.scan_iter(count=KEYS_AT_ONCE))
    for first in range(0, len(names), KEYS_AT_ONCE):
        some = names[first : first + KEYS_AT_ONCE]
        pipeline = client.pipeline(transaction=False)
        for name in some:
            pipeline.pttl(name)
            pipeline.type(name)
        replies = pipeline.execute()
        for raw, left_ms, kind in zip(some, replies[::2], replies[1::2], strict=True):
            name, what = raw.decode(), kind.decode()
            if left_ms == _FOREVER:
                found.add(f"{name} ({what}) has no time to live")
            if what != "none" and not _is_known(name, what):
                found.add(f"{name} ({what}) is not in the map of the keys")
    return found


def _is_known(name: str, kind: str) -> bool:
    pattern = _KNOWN.get(kind)
    return name.startswith(_START) and pattern is not None and pattern.fullmatch(name, len(_START)) is not None


class Lookout:
    """Looks at the keys every half second while the server is loaded, in a thread; a context manager.

    Args:
        connect: makes a client of the server as it is at this moment.

    Attributes:
        faulty: all that was found.
        looks: how often the server could be looked at.
    """

    def __init__(self, connect: Callable[[], redis.Redis]) -> None:
        self._connect = connect
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)
        self.faulty: set[str] = set()
        self.looks = 0

    def __enter__(self) -> Lookout:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def look(self) -> bool:
        """Look once; False where the server is away."""
        try:
            with self._connect() as client:
                self.faulty |= faulty_keys(client)
        except (redis.RedisError, OSError):
            return False
        self.looks += 1
        return True

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            self.look()
