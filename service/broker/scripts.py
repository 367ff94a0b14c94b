"""The Lua scripts: read once, known to the server by their digests."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import redis

NAMES = (
    "announce",
    "cancel",
    "claim",
    "finish",
    "give_back",
    "probe",
    "reap",
    "renew",
    "ring",
    "state",
    "submit",
)


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
    """The script `<name>.lua`, with what all scripts share in front of it."""
    folder = resources.files(__package__)
    text = b"\n".join((folder / f"{part}.lua").read_bytes() for part in ("common", name))
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())
