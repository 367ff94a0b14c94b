"""Where a primitive meets its kernels: the active device, and the choice of an implementation.

A device is a module under `engine.kernels` that registers kernels when it is imported. It is imported when the first
operation that could use it runs, never before: `import engine` and the reference need none.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
from collections.abc import Sequence
from typing import Any

from engine.primitives.primitive import Array, Executable, Primitive, Spec

logger = logging.getLogger("engine")

DEVICES = {"numpy": None, "onednn": "engine.kernels.onednn"}
_device: str | None = None


def device() -> str:
    """The device in use: "onednn" where its library loads, else "numpy" (the reference).

    `BEAGLE_DEVICE` names one; the choice is made at the first operation.
    """
    global _device
    if _device is None:
        set_device(os.environ.get("BEAGLE_DEVICE", "onednn"))
    assert _device is not None
    return _device


def set_device(name: str) -> None:
    """Chooses the device; falls back to the reference, with one log line, where its library cannot be loaded."""
    global _device
    if name not in DEVICES:
        raise ValueError(f"Unknown device {name!r}; expected one of {', '.join(DEVICES)}.")
    module = DEVICES[name]
    if module is not None:
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            logger.warning("%s is not available, NumPy computes instead: %s", name, error)
            name = "numpy"
    _device = name


def has_kernel(primitive: Primitive, arrays: Sequence[Array] = ()) -> bool:
    """Whether the active device has a kernel for the primitive, and for arrays so large; it may still decline."""
    name = device()
    if name not in primitive.kernels:
        return False
    smallest = primitive.smallest[name]
    return not (arrays and smallest) or max(array.size for array in arrays) >= smallest


def prepare(
    primitive: Primitive, inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """A kernel of the active device for these specs, or None: the reference runs."""
    name = device()
    candidate = primitive.kernels.get(name)
    if candidate is None:
        return None
    smallest = primitive.smallest[name]
    if smallest and max(math.prod(spec.shape) for spec in inputs) < smallest:
        return None
    return candidate(inputs, outputs, options)
