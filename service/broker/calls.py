"""Calls of scripts that nobody waits for."""

from collections.abc import Callable
from typing import Any

import redis

from . import scripts
from .partitions import Partition
from .wire import pack, pack_script, script_head


class ScriptCall:
    """One script on its way over the pipeline of a partition.

    What can be mended is, unseen: a server that lacks the script gets its text, and where the connection broke the
    call is made once more, since every script may be repeated.
    """

    __slots__ = ("_arguments", "_on_reply", "_partition", "_repeated", "_script")

    def __init__(
        self, partition: Partition, script: str, arguments: tuple[Any, ...], on_reply: Callable[[Any], None]
    ) -> None:
        """`on_reply` gets the reply, or what `Partition.run` would raise; it must not wait."""
        self._partition = partition
        self._script = script
        self._arguments = arguments
        self._on_reply = on_reply
        self._repeated = False

    def send(self) -> None:
        """Have it sent, without waiting for what comes before; a server that failed a moment ago fails it at once."""
        partition = self._partition
        if pause := partition.pause:
            self._on_reply(pause)
            return
        head = script_head(scripts.load(self._script).digest, partition.start)
        partition.pipeline.send(self.packed(head), self)

    def arguments(self) -> tuple[Any, ...]:
        """Of the script, at this moment."""
        return self._arguments

    def packed(self, head: bytes) -> bytes:
        """The whole command, which begins with `head`."""
        return pack_script(head, self.arguments())

    def __call__(self, reply: Any) -> None:
        """Take what the pipeline has for it."""
        if not isinstance(reply, Exception):
            self._on_reply(reply)
        elif isinstance(reply, redis.exceptions.NoScriptError):
            text = scripts.load(self._script).text
            self._partition.pipeline.send(pack(("EVAL", text, 1, self._partition.start, *self.arguments())), self)
        elif isinstance(reply, redis.exceptions.ConnectionError) and not self._repeated:
            self._repeated = True
            self.send()
        elif isinstance(reply, redis.exceptions.RedisError):
            self._on_reply(self._partition.translated(reply))
        else:
            self._on_reply(reply)
