"""Joining arrays along their last axis on oneDNN, as the channels of images are joined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from ctypes import c_void_p
from typing import Any

from engine.kernels.onednn.constants import Argument
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import PrimitiveDescriptor
from engine.kernels.onednn.layouts import declining, is_plain_float, row_major
from engine.primitives.primitive import Executable, Spec, kernel
from engine.primitives.shaping import concatenate

# From so many elements of the largest array on NumPy's copying is slower than two threads'.
_SMALLEST = 1 << 16


@kernel(concatenate, "onednn", _SMALLEST)
@declining
def prepare_concatenate(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """The arrays side by side."""
    if options["axis"] != len(inputs[0].shape) - 1 or len(inputs) < 2 or not all(map(is_plain_float, inputs)):
        return None
    rows = math.prod(inputs[0].shape[:-1])
    lengths = [spec.shape[-1] for spec in inputs]
    sources = [row_major((rows, length)) for length in lengths]
    result = row_major((rows, sum(lengths)))
    handles = (c_void_p * len(sources))(*(source.handle for source in sources))
    description = PrimitiveDescriptor("concat", result, len(sources), 1, handles)
    ports = [Port(Argument.MULTIPLE_SOURCES + index, index, source) for index, source in enumerate(sources)]
    return OneDnnExecutable(description, ports, [Port(Argument.RESULT, 0, result)], inputs)
