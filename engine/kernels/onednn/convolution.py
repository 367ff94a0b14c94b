"""Convolution and its two gradients on oneDNN, in one to three dimensions of space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.kernels.onednn.attributes import Attributes
from engine.kernels.onednn.constants import Algorithm, Argument, Propagation, Query
from engine.kernels.onednn.executable import Description, OneDnnExecutable, Port
from engine.kernels.onednn.handles import MemoryDescriptor, PrimitiveDescriptor, dims
from engine.kernels.onednn.layouts import (
    FLOAT32,
    MAXIMUM_SPACE,
    channels_last,
    declining,
    is_plain_float,
    permuted,
    row_major,
)
from engine.primitives.convolution import convolution, convolution_input_gradient, convolution_kernel_gradient
from engine.primitives.primitive import Executable, Spec, kernel

_Shape = Sequence[int]


class _Convolution(NamedTuple):
    """The three arrays of a convolution as oneDNN sees them, and its geometry as arguments of the C functions."""

    source: MemoryDescriptor
    weights: MemoryDescriptor
    preferred_weights: MemoryDescriptor
    result: MemoryDescriptor
    geometry: tuple[Any, ...]

    @classmethod
    def of(
        cls,
        source: _Shape,
        weights: _Shape,
        result: _Shape,
        options: dict[str, Any],
        dtypes: tuple[np.dtype[Any], np.dtype[Any], np.dtype[Any]] = (FLOAT32, FLOAT32, FLOAT32),
    ) -> _Convolution:
        plain, lengths = _weights(weights, options.get("groups", 1), dtypes[1])
        return cls(
            channels_last(source, dtypes[0]),
            plain,
            MemoryDescriptor.any_layout(lengths, dtypes[1]),
            channels_last(result, dtypes[2]),
            geometry(options),
        )

    def forward(
        self, propagation: Propagation, bias: MemoryDescriptor | None, attributes: Attributes | None = None
    ) -> PrimitiveDescriptor:
        return PrimitiveDescriptor(
            "convolution_forward",
            propagation,
            Algorithm.CONVOLUTION_DIRECT,
            self.source,
            self.preferred_weights,
            bias,
            self.result,
            *self.geometry,
            attributes=attributes,
        )


def geometry(options: dict[str, Any]) -> tuple[Any, ...]:
    """Strides, dilation and padding of a convolution as arguments of the C functions."""
    padding = options["padding"]
    return (
        dims(options["strides"]),
        dims([rate - 1 for rate in options["dilation"]]),  # oneDNN counts the gaps
        dims([before for before, _ in padding]),
        dims([after for _, after in padding]),
    )


def _weights(shape: _Shape, groups: int, dtype: np.dtype[Any]) -> tuple[MemoryDescriptor, tuple[int, ...]]:
    """Weights (*window, input channels of a group, output channels): the descriptor, and its lengths."""
    window, inputs, results = tuple(shape[:-2]), shape[-2], shape[-1]
    space = range(len(window))
    if groups == 1:
        axes: tuple[int, ...] = (len(window) + 1, len(window), *space)
        split: tuple[int, ...] = (*window, inputs, results)
    else:
        # The groups are the outer part of the output channels.
        axes = (len(window) + 1, len(window) + 2, len(window), *space)
        split = (*window, inputs, groups, results // groups)
    return permuted(split, axes, dtype), tuple(split[axis] for axis in axes)


def has_space(rank: int) -> bool:
    """Whether oneDNN knows convolutions of arrays with so many axes."""
    return 1 <= rank - 2 <= MAXIMUM_SPACE


def convolution_weights(shape: _Shape, groups: int) -> MemoryDescriptor:
    """How float32 weights (*window, input channels of a group, output channels) lie."""
    return _weights(shape, groups, FLOAT32)[0]


def _is_supported(specs: Sequence[Spec | None], rank: int) -> bool:
    return has_space(rank) and all(is_plain_float(spec) for spec in specs)


@kernel(convolution, device="onednn")
@declining
def prepare_convolution(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """y = x * w, plus a bias where a third input is given."""
    result = outputs[0]
    assert result is not None
    if not all(is_plain_float(spec) for spec in (*inputs, result)):
        return None
    head = describe_convolution(inputs, result, options)
    return None if head is None else OneDnnExecutable(*head, inputs)


def describe_convolution(
    inputs: Sequence[Spec], result: Spec, options: dict[str, Any], attributes: Attributes | None = None
) -> Description | None:
    """A forward convolution of (x, w[, bias]) in their data types; None where it has too many axes."""
    if not has_space(len(result.shape)):
        return None
    dtypes = inputs[0].dtype, inputs[1].dtype, result.dtype
    shapes = _Convolution.of(inputs[0].shape, inputs[1].shape, result.shape, options, dtypes)
    ports = [Port(Argument.SOURCE, 0, shapes.source), Port(Argument.WEIGHTS, 1, shapes.weights, Query.WEIGHTS)]
    bias = None
    if len(inputs) == 3:
        bias = row_major(inputs[2].shape, inputs[2].dtype)
        ports.append(Port(Argument.BIAS, 2, bias))
    description = shapes.forward(Propagation.INFERENCE, bias, attributes)
    return Description(description, ports, [Port(Argument.RESULT, 0, shapes.result)])


@kernel(convolution_input_gradient, device="onednn")
@declining
def prepare_input_gradient(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """dx from (dy, w)."""
    gradient, weights = inputs
    source = outputs[0]
    assert source is not None
    if not _is_supported([*inputs, source], len(source.shape)):
        return None
    shapes = _Convolution.of(source.shape, weights.shape, gradient.shape, options)
    description = PrimitiveDescriptor(
        "convolution_backward_data",
        Algorithm.CONVOLUTION_DIRECT,
        shapes.source,
        shapes.preferred_weights,
        shapes.result,
        *shapes.geometry,
        shapes.forward(Propagation.TRAINING, None),
    )
    ports = [
        Port(Argument.RESULT_GRADIENT, 0, shapes.result),
        Port(Argument.WEIGHTS, 1, shapes.weights, Query.WEIGHTS),
    ]
    return OneDnnExecutable(description, ports, [Port(Argument.SOURCE_GRADIENT, 0, shapes.source)], inputs)


@kernel(convolution_kernel_gradient, device="onednn")
@declining
def prepare_kernel_gradient(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """(dw, dbias) from (x, dy); where only dbias is wanted, dw is computed into scratch memory."""
    source, gradient = inputs
    if not _is_supported([*inputs, *outputs], len(source.shape)):
        return None
    wanted = [output is not None for output in outputs]
    weights = tuple(options["kernel_shape"])
    shapes = _Convolution.of(source.shape, weights, gradient.shape, options)
    ports = [Port(Argument.WEIGHTS_GRADIENT, 0, shapes.weights, Query.WEIGHTS_GRADIENT)]
    bias = None
    if wanted[1]:
        bias = row_major(weights[-1:])
        ports.append(Port(Argument.BIAS_GRADIENT, 1, bias))
    description = PrimitiveDescriptor(
        "convolution_backward_weights",
        Algorithm.CONVOLUTION_DIRECT,
        shapes.source,
        shapes.preferred_weights,
        bias,
        shapes.result,
        *shapes.geometry,
        shapes.forward(Propagation.TRAINING, bias),
    )
    given = [Port(Argument.SOURCE, 0, shapes.source), Port(Argument.RESULT_GRADIENT, 1, shapes.result)]
    return OneDnnExecutable(description, given, ports, inputs, wanted)
