"""Masks: keeping some entries of an array and putting zero for the others, fast."""

from __future__ import annotations

import numpy as np

from engine.primitives.primitive import Array

_WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def masked(x: Array, mask: Array, out: Array | None = None) -> Array:
    """`x` where the bool `mask` (broadcast to it) holds, else +0; infinities and NaN are dropped too.

    Bit patterns are multiplied by 0 or 1, several times faster than selection by branches.
    """
    word = _WORDS[x.dtype.itemsize]
    if out is None:
        out = np.empty(x.shape, x.dtype)
    np.multiply(x.view(word), mask, out=out.view(word))
    return out
