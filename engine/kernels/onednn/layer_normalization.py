"""Layer normalisation and its gradient on oneDNN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.kernels.onednn.constants import WITH_SCALE, WITH_SHIFT, Argument, Propagation
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import MemoryDescriptor, PrimitiveDescriptor
from engine.kernels.onednn.layouts import declining, is_plain_float, row_major
from engine.primitives.layer_normalization import layer_normalization, layer_normalization_gradient
from engine.primitives.primitive import Executable, Spec, kernel

# From so many elements on starting the threads pays.
_SMALLEST = 1 << 12
_SCALED = WITH_SCALE | WITH_SHIFT


def _layouts(x: Spec) -> tuple[MemoryDescriptor, MemoryDescriptor, MemoryDescriptor]:
    """The layouts of the input as rows, of a statistic of each row, and of a parameter."""
    rows, channels = math.prod(x.shape[:-1]), x.shape[-1]
    return row_major((rows, channels)), row_major((rows,)), row_major((channels,))


def _forward(
    propagation: Propagation, data: MemoryDescriptor, statistic: MemoryDescriptor, epsilon: float
) -> PrimitiveDescriptor:
    return PrimitiveDescriptor("layer_normalization_forward", propagation, data, data, statistic, epsilon, _SCALED)


@kernel(layer_normalization, "onednn", _SMALLEST)
@declining
def prepare_layer_normalization(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """(y, mean, biased variance) from (x, gamma, beta)."""
    if not all(map(is_plain_float, (*inputs, *outputs))):
        return None
    data, statistic, parameter = _layouts(inputs[0])
    given = [
        Port(Argument.SOURCE, 0, data),
        Port(Argument.SCALE, 1, parameter),
        Port(Argument.SHIFT, 2, parameter),
    ]
    results = [Port(Argument.RESULT, 0, data)]
    wanted = [output is not None for output in outputs]
    if any(wanted[1:]):
        results += [Port(Argument.MEAN, 1, statistic), Port(Argument.VARIANCE, 2, statistic)]
    propagation = Propagation.TRAINING if any(wanted[1:]) else Propagation.INFERENCE
    description = _forward(propagation, data, statistic, options["epsilon"])
    return OneDnnExecutable(description, given, results, inputs, wanted)


@kernel(layer_normalization_gradient, "onednn", _SMALLEST)
@declining
def prepare_gradient(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """The gradients by (x, gamma, beta) from (dy, x, mean, variance, gamma)."""
    if not all(map(is_plain_float, (*inputs, *outputs))):
        return None
    data, statistic, parameter = _layouts(inputs[1])
    epsilon = options["epsilon"]
    hint = _forward(Propagation.TRAINING, data, statistic, epsilon)
    description = PrimitiveDescriptor(
        "layer_normalization_backward", Propagation.BACKWARD, data, data, data, statistic, epsilon, _SCALED, hint
    )
    given = [
        Port(Argument.RESULT_GRADIENT, 0, data),
        Port(Argument.SOURCE, 1, data),
        Port(Argument.MEAN, 2, statistic),
        Port(Argument.VARIANCE, 3, statistic),
        Port(Argument.SCALE, 4, parameter),
        Port(Argument.SHIFT, 4, parameter),  # it must be given, and is not read
    ]
    results = [
        Port(Argument.SOURCE_GRADIENT, 0, data),
        Port(Argument.SCALE_GRADIENT, 1, parameter),
        Port(Argument.SHIFT_GRADIENT, 2, parameter),
    ]
    return OneDnnExecutable(description, given, results, inputs, [output is not None for output in outputs])
