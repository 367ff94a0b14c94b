"""The process's heap: giving freed memory back to the system.

Preparing a model frees as much memory as its weights have: folded copies, buffers of readers, optimizers' slots. The
C library keeps such memory for later; a process that from now on only answers has no use for it.
"""

from __future__ import annotations

import ctypes
import sys


def release_freed_memory() -> None:
    """Returns free pages to the system, where the C library can (glibc's malloc_trim)."""
    if not sys.platform.startswith("linux"):
        return
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library
        return
    trim.argtypes = (ctypes.c_size_t,)
    trim(0)
