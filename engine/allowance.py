"""How much memory variables may take while a file is read: no more than what the file can fill.

A configuration of a hundred bytes can declare a layer of terabytes. Every variable made inside `variables_limited`
claims its bytes first, so that such a file is refused before anything is allocated.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np


class _Allowance(threading.local):
    def __init__(self) -> None:
        self.limit: int | None = None
        self.left = 0


_allowance = _Allowance()


@contextmanager
def variables_limited(limit: int | None) -> Iterator[None]:
    """Variables made inside this block by this thread take at most `limit` bytes together; None: any number."""
    before = _allowance.limit, _allowance.left
    _allowance.limit, _allowance.left = limit, limit or 0
    try:
        yield
    finally:
        _allowance.limit, _allowance.left = before


def claim(name: str, shape: Sequence[int], dtype: np.dtype[np.generic]) -> None:
    """Counts a variable that is about to be made; raises ValueError where it exceeds the limit."""
    if _allowance.limit is None:
        return
    size = math.prod(int(length) for length in shape) * dtype.itemsize
    if size < 0 or size > _allowance.left:
        raise ValueError(
            f"variable {name!r} of shape {tuple(shape)} takes {size} bytes, but the file that declares it brings "
            f"weights for {_allowance.limit} bytes of variables at most, of which {_allowance.left} are left."
        )
    _allowance.left -= size
