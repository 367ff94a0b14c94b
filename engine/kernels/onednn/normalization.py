"""Batch normalisation on oneDNN: with given statistics, with those of the batch, and the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.kernels.onednn.attributes import Attributes
from engine.kernels.onednn.constants import (
    GIVEN_STATISTICS,
    WITH_SCALE,
    WITH_SHIFT,
    Argument,
    Propagation,
)
from engine.kernels.onednn.executable import Description, OneDnnExecutable, Port
from engine.kernels.onednn.handles import MemoryDescriptor, PrimitiveDescriptor
from engine.kernels.onednn.layouts import channels_last, declining, is_plain_float, row_major
from engine.primitives.normalization import (
    batch_normalization,
    batch_normalization_gradient,
    batch_normalization_training,
)
from engine.primitives.primitive import Executable, Spec, kernel

_SMALLEST = 1 << 13  # below this many elements NumPy is faster than starting oneDNN's threads
_SCALED = WITH_SCALE | WITH_SHIFT


def _is_supported(x: Spec, *others: Spec | None) -> bool:
    return math.prod(x.shape) >= _SMALLEST and all(is_plain_float(spec) for spec in (x, *others))


def _layouts(x: Spec) -> tuple[MemoryDescriptor, MemoryDescriptor]:
    """The input as one image of a single column, since only the channels matter; and a parameter's layout."""
    channels = x.shape[-1]
    return channels_last((1, math.prod(x.shape[:-1]), 1, channels)), row_major((channels,))


def _forward(
    propagation: Propagation,
    data: MemoryDescriptor,
    epsilon: float,
    flags: int,
    attributes: Attributes | None = None,
) -> PrimitiveDescriptor:
    return PrimitiveDescriptor(
        "batch_normalization_forward", propagation, data, data, epsilon, flags, attributes=attributes
    )


@kernel(batch_normalization, device="onednn")
@declining
def prepare_inference(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """y from (x, mean, variance, gamma, beta)."""
    head = describe_batch_normalization(inputs, inputs[0], options)
    return None if head is None else OneDnnExecutable(*head, inputs, inplace=[(0, 0)])


def describe_batch_normalization(
    inputs: Sequence[Spec], result: Spec, options: dict[str, Any], attributes: Attributes | None = None
) -> Description | None:
    """Normalisation of (x, mean, variance, gamma, beta); None where the arrays are not what the kernel takes."""
    if not _is_supported(*inputs):
        return None
    data, parameter = _layouts(inputs[0])
    flags = _SCALED | GIVEN_STATISTICS
    description = _forward(Propagation.INFERENCE, data, options["epsilon"], flags, attributes)
    ports = [
        Port(Argument.SOURCE, 0, data),
        Port(Argument.MEAN, 1, parameter),
        Port(Argument.VARIANCE, 2, parameter),
        Port(Argument.SCALE, 3, parameter),
        Port(Argument.SHIFT, 4, parameter),
    ]
    return Description(description, ports, [Port(Argument.RESULT, 0, data)])


@kernel(batch_normalization_training, device="onednn")
@declining
def prepare_training(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """(y, mean, biased variance) from (x, gamma, beta)."""
    if not _is_supported(*inputs, *outputs):
        return None
    data, parameter = _layouts(inputs[0])
    description = _forward(Propagation.TRAINING, data, options["epsilon"], _SCALED)
    given = [
        Port(Argument.SOURCE, 0, data),
        Port(Argument.SCALE, 1, parameter),
        Port(Argument.SHIFT, 2, parameter),
    ]
    results = [
        Port(Argument.RESULT, 0, data),
        Port(Argument.MEAN, 1, parameter),
        Port(Argument.VARIANCE, 2, parameter),
    ]
    return OneDnnExecutable(description, given, results, inputs, [output is not None for output in outputs])


@kernel(batch_normalization_gradient, device="onednn")
@declining
def prepare_gradient(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """The gradients by (x, gamma, beta) from (dy, x, mean, variance, gamma)."""
    if not _is_supported(inputs[1], *inputs, *outputs):
        return None
    data, parameter = _layouts(inputs[1])
    epsilon = options["epsilon"]
    hint = _forward(Propagation.TRAINING, data, epsilon, _SCALED)
    description = PrimitiveDescriptor(
        "batch_normalization_backward", Propagation.BACKWARD, data, data, data, epsilon, _SCALED, hint
    )
    given = [
        Port(Argument.RESULT_GRADIENT, 0, data),
        Port(Argument.SOURCE, 1, data),
        Port(Argument.MEAN, 2, parameter),
        Port(Argument.VARIANCE, 3, parameter),
        Port(Argument.SCALE, 4, parameter),
    ]
    results = [
        Port(Argument.SOURCE_GRADIENT, 0, data),
        Port(Argument.SCALE_GRADIENT, 1, parameter),
        Port(Argument.SHIFT_GRADIENT, 2, parameter),
    ]
    return OneDnnExecutable(description, given, results, inputs, [output is not None for output in outputs])
