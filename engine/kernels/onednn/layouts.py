"""How the engine's arrays look to oneDNN, and which of them its kernels take.

oneDNN names lengths in the order batch, channels, space and output channels, input channels, window, whatever the
order in memory; the strides say where the engine's channels-last arrays have them.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.dtypes import BFLOAT16
from engine.kernels.onednn.executable import OneDnnExecutable
from engine.kernels.onednn.handles import MemoryDescriptor
from engine.kernels.onednn.library import OneDnnError, UnimplementedError
from engine.primitives.primitive import Executable, Prepare, Spec

logger = logging.getLogger("engine")

FLOAT32 = np.dtype(np.float32)
EIGHT_BITS = (np.dtype(np.uint8), np.dtype(np.int8))
REDUCED = (*EIGHT_BITS, BFLOAT16)  # what plans of reduced precision hold
MAXIMUM_SPACE = 3


def row_major(shape: Sequence[int], dtype: np.dtype[Any] = FLOAT32) -> MemoryDescriptor:
    """An array in row-major order whose axes keep their order."""
    return MemoryDescriptor.strided(shape, strides(shape), dtype)


def permuted(shape: Sequence[int], axes: Sequence[int], dtype: np.dtype[Any] = FLOAT32) -> MemoryDescriptor:
    """A row-major array whose axes oneDNN counts in another order."""
    steps = strides(shape)
    return MemoryDescriptor.strided([shape[axis] for axis in axes], [steps[axis] for axis in axes], dtype)


def channels_last(shape: Sequence[int], dtype: np.dtype[Any] = FLOAT32) -> MemoryDescriptor:
    """An array (batch, *space, channels)."""
    return permuted(shape, (0, len(shape) - 1, *range(1, len(shape) - 1)), dtype)


def strides(shape: Sequence[int]) -> list[int]:
    """The steps, in elements, of a row-major array."""
    steps = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        steps[axis] = steps[axis + 1] * shape[axis + 1]
    return steps


def is_plain_float(spec: Spec | None) -> bool:
    """Whether an array is float32 and has elements; an unwanted one passes."""
    return spec is None or (spec.dtype == FLOAT32 and 0 not in spec.shape)


def declining(prepare: Prepare) -> Prepare:
    """Lets a kernel decline where oneDNN cannot, or can only by its slow reference implementation."""

    @functools.wraps(prepare)
    def guarded(inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]) -> Executable | None:
        if all(output is None for output in outputs):
            return None
        try:
            executable = prepare(inputs, outputs, options)
        except UnimplementedError:
            return None
        except OneDnnError as error:
            shapes = ", ".join(str(spec.shape) for spec in inputs)
            logger.info("%s of %s: NumPy computes it: %s", prepare.__module__.rpartition(".")[2], shapes, error)
            return None
        if isinstance(executable, OneDnnExecutable) and executable.implementation.startswith("ref"):
            return None
        return executable

    return guarded
