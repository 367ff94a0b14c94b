"""What a process frees it keeps, so that the next upload does not have to ask the system for it, page by page."""

from __future__ import annotations

import contextlib
import ctypes

from service.settings import MIB

# Parameters of glibc's `mallopt`.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
# Free memory at the end of the heap beyond which it is given back, and the size from which a block is mapped for
# itself and given back at once. A photo and its pixels lie between glibc's own values, 128 KiB for both, and these.
_KEPT_BYTES = 16 * MIB
_MAPPED_BYTES = 4 * MIB


def keep_freed_memory() -> None:
    """Have this process keep up to _KEPT_BYTES of what it frees; changes nothing where the C library is not glibc."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _MAPPED_BYTES)
