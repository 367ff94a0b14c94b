"""Where a primitive meets its kernels: the active device, and the choice of an implementation.

A device is a module under `engine.kernels` that registers kernels when it is imported. It is imported when the first
operation that could use it runs, never before: `import engine` and the reference need none.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Sequence
from typing import Any

from engine.primitives.primitive import Executable, Primitive, Spec

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


def has_kernel(primitive: Primitive) -> bool:
    """Whether the active device has a kernel for the primitive, which may still decline."""
    return device() in primitive.kernels


def prepare(
    primitive: Primitive, inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """A kernel of the active device for these specs, or None: the reference runs."""
    candidate = primitive.kernels.get(device())
    return None if candidate is None else candidate(inputs, outputs, options)
