"""Maximum and average pooling and their gradients on oneDNN.

The indices that maximum pooling leaves for its gradient have the form of the reference's: the place inside the
window in row-major order, so that reference and kernel may be mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.kernels.onednn.constants import Algorithm, Argument, Propagation, Query
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import MemoryDescriptor, PrimitiveDescriptor, dims
from engine.kernels.onednn.layouts import MAXIMUM_SPACE, REDUCED, channels_last, declining, is_plain_float
from engine.primitives.pooling import (
    average_pooling,
    average_pooling_gradient,
    max_pooling,
    max_pooling_gradient,
)
from engine.primitives.primitive import Executable, Spec, kernel


def _geometry(options: dict[str, Any]) -> tuple[Any, ...]:
    padding = options["padding"]
    return (
        dims(options["strides"]),
        dims(options["window"]),
        dims([0] * len(padding)),  # no gaps inside the window
        dims([before for before, _ in padding]),
        dims([after for _, after in padding]),
    )


def _is_supported(*specs: Spec) -> bool:
    return 1 <= len(specs[0].shape) - 2 <= MAXIMUM_SPACE and all(is_plain_float(spec) for spec in specs)


def _is_reduced(x: Spec) -> bool:
    return 1 <= len(x.shape) - 2 <= MAXIMUM_SPACE and x.dtype in REDUCED and 0 not in x.shape


def _forward(
    propagation: Propagation,
    algorithm: Algorithm,
    source: MemoryDescriptor,
    result: MemoryDescriptor,
    options: dict[str, Any],
) -> PrimitiveDescriptor:
    return PrimitiveDescriptor("pooling_forward", propagation, algorithm, source, result, *_geometry(options))


def _backward(
    algorithm: Algorithm, source: MemoryDescriptor, result: MemoryDescriptor, options: dict[str, Any]
) -> PrimitiveDescriptor:
    hint = _forward(Propagation.TRAINING, algorithm, source, result, options)
    return PrimitiveDescriptor("pooling_backward", algorithm, source, result, *_geometry(options), hint)


@kernel(max_pooling, device="onednn")
@declining
def prepare_max_pooling(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """y, and the indices where they are wanted.

    Unlike the reference it passes NaN over, and gives the least float for a window that holds only -inf.
    """
    y, indices = outputs
    (x,) = inputs
    if y is None or not (_is_supported(x, y) or (indices is None and _is_reduced(x))):
        return None
    source, result = channels_last(x.shape, x.dtype), channels_last(y.shape, y.dtype)
    propagation = Propagation.INFERENCE if indices is None else Propagation.TRAINING
    description = _forward(propagation, Algorithm.MAX_POOLING, source, result, options)
    ports = [Port(Argument.RESULT, 0, result)]
    if indices is not None:
        plain = channels_last(indices.shape, indices.dtype)
        ports.append(Port(Argument.WORKSPACE, 1, plain, Query.WORKSPACE))
    return OneDnnExecutable(description, [Port(Argument.SOURCE, 0, source)], ports, inputs)


@kernel(max_pooling_gradient, device="onednn")
@declining
def prepare_max_pooling_gradient(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """dx from (dy, indices)."""
    gradient, indices = inputs
    dx = outputs[0]
    assert dx is not None
    if not _is_supported(gradient, dx):
        return None
    source, result = channels_last(dx.shape), channels_last(gradient.shape)
    description = _backward(Algorithm.MAX_POOLING, source, result, options)
    ports = [
        Port(Argument.RESULT_GRADIENT, 0, result),
        Port(Argument.WORKSPACE, 1, channels_last(indices.shape, indices.dtype), Query.WORKSPACE),
    ]
    return OneDnnExecutable(description, ports, [Port(Argument.SOURCE_GRADIENT, 0, source)], inputs)


@kernel(average_pooling, device="onednn")
@declining
def prepare_average_pooling(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """Means over windows, padding not counted."""
    (x,), (y,) = inputs, outputs
    assert y is not None
    if not _is_supported(x, y):
        return None
    source, result = channels_last(x.shape), channels_last(y.shape)
    algorithm = Algorithm.AVERAGE_POOLING_EXCLUDING_PADDING
    description = _forward(Propagation.INFERENCE, algorithm, source, result, options)
    return OneDnnExecutable(description, [Port(Argument.SOURCE, 0, source)], [Port(Argument.RESULT, 0, result)], inputs)


@kernel(average_pooling_gradient, device="onednn")
@declining
def prepare_average_pooling_gradient(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """dx from dy."""
    (gradient,), (dx,) = inputs, outputs
    assert dx is not None
    if not _is_supported(gradient, dx):
        return None
    source, result = channels_last(dx.shape), channels_last(gradient.shape)
    description = _backward(Algorithm.AVERAGE_POOLING_EXCLUDING_PADDING, source, result, options)
    ports = [Port(Argument.RESULT_GRADIENT, 0, result)]
    return OneDnnExecutable(description, ports, [Port(Argument.SOURCE_GRADIENT, 0, source)], inputs)
