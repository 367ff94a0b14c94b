"""Activations on oneDNN: relu's gradient.

relu itself and softmax stay with NumPy. oneDNN's relu turns NaN into 0, which would hide a training run that
diverged; its softmax keeps NaN from the rest of its row, and its logarithm is off by a dozen units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.kernels.onednn.constants import Algorithm, Argument, Propagation
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import PrimitiveDescriptor
from engine.kernels.onednn.layouts import declining, is_plain_float, row_major
from engine.primitives.activations import relu_gradient
from engine.primitives.primitive import Executable, Spec, kernel

_SMALLEST = 1 << 17  # below this many elements NumPy is faster than starting oneDNN's threads


@kernel(relu_gradient, device="onednn")
@declining
def prepare_relu_gradient(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """dx from (dy, y). Where y is not positive an infinite dy gives NaN, not 0."""
    gradient, y = inputs
    size = math.prod(y.shape)
    if size < _SMALLEST or not (is_plain_float(gradient) and is_plain_float(y)):
        return None
    flat = row_major((size,))
    hint = PrimitiveDescriptor("eltwise_forward", Propagation.TRAINING, Algorithm.RELU_BY_RESULT, flat, flat, 0.0, 0.0)
    description = PrimitiveDescriptor("eltwise_backward", Algorithm.RELU_BY_RESULT, flat, flat, flat, 0.0, 0.0, hint)
    ports = [Port(Argument.RESULT_GRADIENT, 0, flat), Port(Argument.RESULT, 1, flat)]
    results = [Port(Argument.SOURCE_GRADIENT, 0, flat)]
    return OneDnnExecutable(description, ports, results, inputs, inplace=[(0, 0)])
