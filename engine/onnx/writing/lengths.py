"""Lengths that depend on the batch or another free axis, known by what they are in several samples.

A model is captured once for each sample, a choice of numbers for its free axes. What is the same in all of them is
fixed; an integer that differs is `Free`, and follows from the free axes where it is linear in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Free(tuple[int, ...]):
    """A length (or an integer option) by sample."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Free{tuple(self)!r}"


Length = int | Free
Lengths = tuple[Length, ...]


class FreeAxis(NamedTuple):
    """An axis of the inputs whose length the file leaves open.

    Attributes:
        name: the length's name in the file; axes of one name have one length.
        source: the number of the input that tells it, and the axis there.
    """

    name: str
    source: tuple[int, int]


class Samples(NamedTuple):
    """The free axes, and in each sample a length for each of them."""

    axes: tuple[FreeAxis, ...]
    lengths: tuple[tuple[int, ...], ...]

    def formula(self, length: Free) -> tuple[tuple[int, ...], int] | None:
        """(factors, offset) with length = sum of factor · free axis + offset in every sample; None: there are none."""
        known = np.array([(*row, 1) for row in self.lengths], np.float64)
        wanted = np.array(length, np.float64)
        found = np.rint(np.linalg.lstsq(known, wanted, rcond=None)[0])
        if not np.array_equal(known @ found, wanted):
            return None
        return tuple(int(factor) for factor in found[:-1]), int(found[-1])


def merged(values: Sequence[Any]) -> Any:
    """One option of a node from what it is in each sample.

    Raises:
        ValueError: it differs, and not in its integers alone.
    """
    first = values[0]
    if isinstance(first, tuple):
        if any(not isinstance(value, tuple) or len(value) != len(first) for value in values):
            raise ValueError(f"{values[0]!r} and {values[1]!r}")
        return tuple(merged(items) for items in zip(*values, strict=True))
    if all(type(value) is type(first) and value == first for value in values):
        return first
    if all(type(value) is int for value in values):
        return Free(values)
    different = next(value for value in values if type(value) is not type(first) or value != first)
    raise ValueError(f"{first!r} and {different!r}")


def in_sample(length: Length, sample: int) -> int:
    """A length in one sample."""
    return length[sample] if isinstance(length, Free) else length


def combined(function: Any, *lengths: Length) -> Length:
    """A function of integers, of lengths."""
    count = max((len(length) for length in lengths if isinstance(length, Free)), default=1)
    values = [function(*(in_sample(length, sample) for length in lengths)) for sample in range(count)]
    return values[0] if all(value == values[0] for value in values) else Free(values)


def product(lengths: Sequence[Length]) -> Length:
    """The product of lengths."""
    return combined(lambda *values: math.prod(values), *lengths)


def is_free(lengths: Sequence[Length]) -> bool:
    """Whether any of the lengths is free."""
    return any(isinstance(length, Free) for length in lengths)
