"""Softmax over the last axis on oneDNN, and the gradients of softmax and of its logarithm.

A NaN keeps its place in the result, while the rest of its row, NaN in the reference, becomes 0. The logarithm itself
is left to NumPy: oneDNN's is off by a dozen units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.kernels.onednn.constants import Argument, Propagation, SoftmaxAlgorithm
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import MemoryDescriptor, PrimitiveDescriptor
from engine.kernels.onednn.layouts import declining, is_plain_float, row_major
from engine.primitives.activations import log_softmax_gradient, softmax, softmax_gradient
from engine.primitives.primitive import Executable, Prepare, Primitive, Spec, kernel

# From so many elements on starting the threads pays.
_SMALLEST = 1 << 9


def _rows(inputs: Sequence[Spec], options: dict[str, Any]) -> MemoryDescriptor | None:
    """The layout of the arrays as rows that are normalised; None where the kernel declines."""
    shape, axis = inputs[0].shape, options.get("axis", -1)
    axes = axis if isinstance(axis, tuple) else (axis,)
    if not shape or [item % len(shape) for item in axes] != [len(shape) - 1] or not all(map(is_plain_float, inputs)):
        return None
    return row_major((math.prod(shape[:-1]), shape[-1]))


def _forward(propagation: Propagation, algorithm: SoftmaxAlgorithm, rows: MemoryDescriptor) -> PrimitiveDescriptor:
    return PrimitiveDescriptor("softmax_forward", propagation, algorithm, rows, rows, 1)


@kernel(softmax, "onednn", _SMALLEST)
@declining
def prepare_softmax(
    inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]
) -> Executable | None:
    """y from x."""
    rows = _rows(inputs, options)
    if rows is None:
        return None
    description = _forward(Propagation.INFERENCE, SoftmaxAlgorithm.ACCURATE, rows)
    ports = [Port(Argument.SOURCE, 0, rows)]
    return OneDnnExecutable(description, ports, [Port(Argument.RESULT, 0, rows)], inputs, inplace=[(0, 0)])


def _backward(algorithm: SoftmaxAlgorithm) -> Prepare:
    def prepare(inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]) -> Executable | None:
        """dx from (dy, y)."""
        rows = _rows(inputs, options)
        if rows is None:
            return None
        hint = _forward(Propagation.TRAINING, algorithm, rows)
        description = PrimitiveDescriptor("softmax_backward", algorithm, rows, rows, rows, 1, hint)
        ports = [Port(Argument.RESULT_GRADIENT, 0, rows), Port(Argument.RESULT, 1, rows)]
        return OneDnnExecutable(description, ports, [Port(Argument.SOURCE_GRADIENT, 0, rows)], inputs)

    return prepare


_GRADIENTS: dict[Primitive, SoftmaxAlgorithm] = {
    softmax_gradient: SoftmaxAlgorithm.ACCURATE,
    log_softmax_gradient: SoftmaxAlgorithm.LOGARITHM,
}

for _target, _algorithm in _GRADIENTS.items():
    kernel(_target, "onednn", _SMALLEST)(declining(_backward(_algorithm)))
