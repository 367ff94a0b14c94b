"""What the answers say: the first label, or the code of the error."""

from __future__ import annotations

import json
from functools import lru_cache

_MOST_REMEMBERED_BYTES = 4096


def read_answer(body: bytes) -> tuple[str | None, str]:
    """Return the first label of the predictions (None without) and the code of the error (empty without)."""
    return _remembered(body) if len(body) <= _MOST_REMEMBERED_BYTES else _read(body)


@lru_cache(maxsize=4096)  # a load is of few images, or at least of few answers
def _remembered(body: bytes) -> tuple[str | None, str]:
    return _read(body)


def _read(body: bytes) -> tuple[str | None, str]:
    try:
        said = json.loads(body)
    except ValueError:
        return None, ""
    if not isinstance(said, dict):
        return None, ""
    error = said.get("error")
    if isinstance(error, dict):
        return None, str(error.get("code", ""))
    try:
        return str(said["predictions"][0]["label"]), ""
    except (KeyError, IndexError, TypeError):
        return None, ""
