"""Names that the user did not give: snake case of class names, numbered per process (`dense`, `dense_1`, …)."""

from __future__ import annotations

import re
import threading
from collections import Counter

_WORD_START = re.compile(r"(.)([A-Z][a-z]+)")
_CAPITAL = re.compile(r"([a-z])([A-Z])")

_lock = threading.Lock()
_used: Counter[str] = Counter()


def to_snake_case(name: str) -> str:
    """`Conv2DTranspose` as `conv2d_transpose`, `ReLU` as `re_lu`: Keras's spelling, on which file paths depend."""
    words = _WORD_START.sub(r"\1_\2", re.sub(r"\W+", "", name))
    return _CAPITAL.sub(r"\1_\2", words).lower()


def auto_name(class_name: str) -> str:
    """A name for a new instance of a class: the snake-case name, with a number from the second on."""
    return uniquify(to_snake_case(class_name))


def uniquify(prefix: str) -> str:
    """`prefix` the first time it is asked for, then `prefix_1`, `prefix_2`, …"""
    with _lock:
        number = _used[prefix]
        _used[prefix] += 1
    return f"{prefix}_{number}" if number else prefix


def reset_names() -> None:
    """Starts numbering afresh (part of `keras.utils.clear_session`)."""
    with _lock:
        _used.clear()
