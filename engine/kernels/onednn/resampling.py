"""Resampling of images on oneDNN. Gradients only by the nearest entry, and of many channels: else NumPy is faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.kernels.onednn.constants import Argument, Propagation, ResamplingAlgorithm
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import MemoryDescriptor, PrimitiveDescriptor
from engine.kernels.onednn.layouts import MAXIMUM_SPACE, channels_last, declining, is_plain_float
from engine.primitives.primitive import Executable, Spec, kernel
from engine.primitives.resampling import resampling, resampling_gradient

_ALGORITHMS = {"nearest": ResamplingAlgorithm.NEAREST, "linear": ResamplingAlgorithm.LINEAR}
# From so many elements on starting the threads pays.
_SMALLEST = 1 << 11
_LEAST_CHANNELS = 16


def _forward(
    propagation: Propagation, algorithm: ResamplingAlgorithm, source: MemoryDescriptor, result: MemoryDescriptor
) -> PrimitiveDescriptor:
    return PrimitiveDescriptor("resampling_forward", propagation, algorithm, None, source, result)


def _is_supported(*specs: Spec) -> bool:
    return len(specs[0].shape) - 2 <= MAXIMUM_SPACE and all(map(is_plain_float, specs))


@kernel(resampling, "onednn", _SMALLEST)
@declining
def prepare_resampling(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """y from x."""
    (x,), (y,) = inputs, outputs
    assert y is not None
    if not _is_supported(x, y):
        return None
    source, result = channels_last(x.shape), channels_last(y.shape)
    description = _forward(Propagation.INFERENCE, _ALGORITHMS[options["method"]], source, result)
    return OneDnnExecutable(description, [Port(Argument.SOURCE, 0, source)], [Port(Argument.RESULT, 0, result)], inputs)


@kernel(resampling_gradient, "onednn", _SMALLEST)
@declining
def prepare_resampling_gradient(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """dx from dy."""
    (gradient,), (dx,) = inputs, outputs
    assert dx is not None
    if options["method"] != "nearest" or dx.shape[-1] < _LEAST_CHANNELS or not _is_supported(gradient, dx):
        return None
    source, result = channels_last(dx.shape), channels_last(gradient.shape)
    algorithm = ResamplingAlgorithm.NEAREST
    hint = _forward(Propagation.TRAINING, algorithm, source, result)
    description = PrimitiveDescriptor("resampling_backward", algorithm, None, source, result, hint)
    ports = [Port(Argument.RESULT_GRADIENT, 0, result)]
    return OneDnnExecutable(description, ports, [Port(Argument.SOURCE_GRADIENT, 0, source)], inputs)
