"""Transposed convolution on oneDNN ("deconvolution"), in one to three dimensions of space.

Its gradients are a convolution and a convolution's kernel gradient, which have kernels of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.kernels.onednn.attributes import Attributes
from engine.kernels.onednn.constants import Algorithm, Argument, Propagation, Query
from engine.kernels.onednn.convolution import geometry, has_space
from engine.kernels.onednn.executable import Description, OneDnnExecutable, Port
from engine.kernels.onednn.handles import MemoryDescriptor, PrimitiveDescriptor
from engine.kernels.onednn.layouts import channels_last, declining, is_plain_float, permuted, row_major
from engine.primitives.convolution import transposed_convolution
from engine.primitives.primitive import Executable, Spec, kernel


@kernel(transposed_convolution, device="onednn")
@declining
def prepare_transposed_convolution(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """y from (x, w), plus a bias where a third input is given."""
    result = outputs[0]
    assert result is not None
    if not all(is_plain_float(spec) for spec in (*inputs, result)):
        return None
    head = describe_transposed_convolution(inputs, result, options)
    return None if head is None else OneDnnExecutable(*head, inputs)


def describe_transposed_convolution(
    inputs: Sequence[Spec], result: Spec, options: dict[str, Any], attributes: Attributes | None = None
) -> Description | None:
    """A transposed convolution of (x, w[, bias]) in their data types; None where it has too many axes."""
    if not has_space(len(result.shape)):
        return None
    x, w = inputs[:2]
    source, product = channels_last(x.shape, x.dtype), channels_last(result.shape, result.dtype)
    plain, lengths = _weights(w.shape, options.get("groups", 1), w.dtype)
    ports = [Port(Argument.SOURCE, 0, source), Port(Argument.WEIGHTS, 1, plain, Query.WEIGHTS)]
    bias = None
    if len(inputs) == 3:
        bias = row_major(inputs[2].shape, inputs[2].dtype)
        ports.append(Port(Argument.BIAS, 2, bias))
    description = PrimitiveDescriptor(
        "deconvolution_forward",
        Propagation.INFERENCE,
        Algorithm.DECONVOLUTION_DIRECT,
        source,
        MemoryDescriptor.any_layout(lengths, w.dtype),
        bias,
        product,
        *geometry(options),
        attributes=attributes,
    )
    return Description(description, ports, [Port(Argument.RESULT, 0, product)])


def _weights(shape: Sequence[int], groups: int, dtype: np.dtype[Any]) -> tuple[MemoryDescriptor, tuple[int, ...]]:
    """Weights (*window, output channels of a group, input channels): the descriptor, and its lengths."""
    rank = len(shape) - 2
    space = range(rank)
    if groups == 1:
        axes: tuple[int, ...] = (rank, rank + 1, *space)
        split = tuple(shape)
    else:
        # The groups are the outer part of the input channels.
        axes = (rank + 1, rank, rank + 2, *space)
        split = (*shape[:-1], groups, shape[-1] // groups)
    return permuted(split, axes, dtype), tuple(split[axis] for axis in axes)
