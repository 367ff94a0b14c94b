"""Memory by lifetime: where in one arena each buffer of a plan lies.

Two buffers may share bytes when their lifetimes do not overlap. Large buffers are placed first, each at the
tightest gap among those it would meet (greedy best fit; Pisarchyk and Lee 2020 found it within a few per cent of the
optimum).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.primitives.primitive import Array
from engine.variable import aligned_empty

ALIGNMENT = 64


class Lifetime(NamedTuple):
    """A buffer of `nbytes` in use from step `first` to step `last`, both included."""

    nbytes: int
    first: int
    last: int


def layout(lifetimes: Sequence[Lifetime]) -> tuple[list[int], int]:
    """An offset for every buffer, and the size of the arena, in bytes."""
    offsets = [0] * len(lifetimes)
    placed: list[tuple[int, int, Lifetime]] = []  # (start, end, lifetime), by start
    total = 0
    for index in sorted(range(len(lifetimes)), key=lambda item: (-lifetimes[item].nbytes, item)):
        lifetime = lifetimes[index]
        size = -(-lifetime.nbytes // ALIGNMENT) * ALIGNMENT
        best: int | None = None
        best_gap = 0
        cursor = 0
        for start, end, other in placed:
            if other.last < lifetime.first or other.first > lifetime.last:
                continue
            gap = start - cursor
            if gap >= size and (best is None or gap < best_gap):
                best, best_gap = cursor, gap
            cursor = max(cursor, end)
        offset = cursor if best is None else best
        offsets[index] = offset
        placed.append((offset, offset + size, lifetime))
        placed.sort(key=lambda item: item[0])
        total = max(total, offset + size)
    return offsets, total


class Arena:
    """Bytes that plans lay their buffers in. Plans that share an arena must not run at the same time."""

    def __init__(self) -> None:
        self._memory = aligned_empty((0,), np.dtype(np.uint8))

    def reserve(self, nbytes: int) -> Array:
        """Memory of at least `nbytes`. It grows by replacement: plans bound earlier keep what they have."""
        if nbytes > self._memory.nbytes:
            self._memory = aligned_empty((nbytes,), np.dtype(np.uint8))
        return self._memory


def carve(memory: Array, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array in `memory` at a byte offset."""
    count = int(np.prod(shape, dtype=np.int64))
    return memory[offset : offset + count * dtype.itemsize].view(dtype).reshape(shape)
