"""The Lua scripts: read once, known to the server by their digests."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import redis

# For each script, the parts that stand between common.lua and it: what a call does not need costs it time.
PARTS: dict[str, tuple[str, ...]] = {
    "announce": (),
    "cancel": ("jobs",),
    "claim": ("jobs", "claiming"),
    "finish": ("jobs", "answering", "claiming"),
    "give_back": ("jobs", "handing", "returning"),
    "probe": (),
    "reap": ("jobs", "handing", "returning", "answering", "looking"),
    "renew": (),
    "state": ("looking",),
    "submit": ("handing", "looking"),
}
NAMES = tuple(PARTS)


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its whole text and the SHA-1 digest by which the server knows it."""

    text: bytes
    digest: str

    def run(self, call: Callable[..., Any], start: str, arguments: tuple[Any, ...]) -> Any:
        """Run it on one partition (`start`: of its keys); the text travels only where the server lacks it."""
        try:
            return call("EVALSHA", self.digest, 1, start, *arguments)
        except redis.exceptions.NoScriptError:
            return call("EVAL", self.text, 1, start, *arguments)


@cache
def load(name: str) -> Script:
    """The script `<name>.lua`, with the parts that it needs in front of it."""
    folder = resources.files(__package__)
    text = b"\n".join((folder / f"{part}.lua").read_bytes() for part in ("common", *PARTS[name], name))
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())
