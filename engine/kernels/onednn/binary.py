"""Arithmetic on two arrays on oneDNN, which has two threads where NumPy has one.

An operand of one number for each channel is left to NumPy, which is as fast; so are maximum and minimum, where oneDNN
loses NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.kernels.onednn.constants import Argument, BinaryAlgorithm
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import PrimitiveDescriptor
from engine.kernels.onednn.layouts import declining, is_plain_float, row_major
from engine.primitives.elementwise import add, divide, multiply, subtract
from engine.primitives.primitive import Executable, Prepare, Primitive, Spec, kernel

_ALGORITHMS: dict[Primitive, BinaryAlgorithm] = {
    add: BinaryAlgorithm.ADD,
    subtract: BinaryAlgorithm.SUBTRACT,
    multiply: BinaryAlgorithm.MULTIPLY,
    divide: BinaryAlgorithm.DIVIDE,
}
_COMMUTATIVE = (add, multiply)
# From so many elements on starting the threads pays.
_SMALLEST = 1 << 16
_LEAST_CHANNELS = 16


def _paired(whole: Sequence[int], other: Sequence[int]) -> tuple[Sequence[int], Sequence[int]] | None:
    """The shapes as oneDNN takes them; None where it gains nothing.

    The second operand is a whole array too, or one number for each example, or one for each of its channels, as in
    squeeze-and-excitation. Elsewhere oneDNN has its slow implementation alone, or NumPy's inner loop is long.
    """
    if other == whole:
        size = math.prod(whole)
        return (size,), (size,)
    if len(other) != len(whole) or other[0] != whole[0] or not set(other[1:-1]) <= {1}:
        return None
    examples, channels = whole[0], whole[-1]
    if other[-1] == 1:
        return (examples, math.prod(whole[1:])), (examples, 1)
    if channels < _LEAST_CHANNELS:
        return None
    return (examples, math.prod(whole[1:-1]), channels), (examples, 1, channels)


def _prepare(target: Primitive, algorithm: BinaryAlgorithm) -> Prepare:
    def prepare(inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]) -> Executable | None:
        """The result of two arrays, of which one may be repeated along some of its axes."""
        result = outputs[0]
        assert result is not None
        if not all(map(is_plain_float, inputs)):
            return None
        order = [0, 1]
        if inputs[0].shape != result.shape and target in _COMMUTATIVE:
            order.reverse()
        pair = _paired(*(inputs[index].shape for index in order))
        if inputs[order[0]].shape != result.shape or pair is None:
            return None
        whole, other = map(row_major, pair)
        description = PrimitiveDescriptor("binary", algorithm, whole, other, whole)
        ports = [Port(Argument.SOURCE, order[0], whole), Port(Argument.SECOND_SOURCE, order[1], other)]
        results = [Port(Argument.RESULT, 0, whole)]
        return OneDnnExecutable(description, ports, results, inputs, inplace=[(0, order[0])])

    return prepare


for _target, _algorithm in _ALGORITHMS.items():
    kernel(_target, "onednn", _SMALLEST)(declining(_prepare(_target, _algorithm)))
