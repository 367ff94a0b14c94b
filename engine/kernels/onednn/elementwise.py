"""Functions of one number on oneDNN, and their gradients.

NumPy keeps what it does more exactly or more openly: oneDNN's relu, clip and hard sigmoid turn NaN into a number, its
exponential turns it into infinity, which would hide a training run that diverged; its softplus, logarithm and erf lose
the digits of small results. Gradients from the input look at it by comparison alone where the reference computes with
it, so that a NaN there shows in the forward result only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from engine.kernels.onednn.attributes import PostOperations
from engine.kernels.onednn.constants import Argument, Elementwise, ElementwiseByResult, Propagation
from engine.kernels.onednn.executable import OneDnnExecutable, Port
from engine.kernels.onednn.handles import PrimitiveDescriptor
from engine.kernels.onednn.layouts import declining, is_plain_float, row_major
from engine.primitives.activations import (
    elu,
    elu_gradient,
    gelu,
    gelu_gradient,
    hard_sigmoid,
    hard_sigmoid_gradient,
    hard_silu,
    hard_silu_gradient,
    leaky_relu,
    leaky_relu_gradient,
    relu,
    relu_gradient,
    selu,
    sigmoid,
    sigmoid_gradient,
    silu,
    silu_gradient,
)
from engine.primitives.activations.rectifiers import SELU_ALPHA, SELU_SCALE
from engine.primitives.elementwise import absolute, sqrt, square, tanh, tanh_gradient
from engine.primitives.indexing import clip
from engine.primitives.primitive import Executable, Prepare, Primitive, Spec, kernel


class Function(NamedTuple):
    """A function of one number as oneDNN knows it, and a factor for its result."""

    algorithm: Elementwise
    alpha: float = 0.0
    beta: float = 0.0
    scale: float = 1.0

    def append_to(self, operations: PostOperations) -> None:
        """Makes the function follow a result."""
        operations.elementwise(self.algorithm, self.alpha, self.beta)
        if self.scale != 1.0:
            operations.elementwise(Elementwise.LINEAR, self.scale)


_STEEP = 3e38  # times the smallest normal float32 is more than 1


def _gelu(approximate: bool) -> Function:
    return Function(Elementwise.GELU_BY_TANH if approximate else Elementwise.GELU_BY_ERF)


def _leaky_relu(negative_slope: float) -> Function:
    return Function(Elementwise.RELU, negative_slope)


def _elu(alpha: float = 1.0) -> Function:
    return Function(Elementwise.ELU, alpha)


def _hard_sigmoid() -> Function:
    return Function(Elementwise.HARD_SIGMOID, 1 / 6, 0.5)


def _hard_silu() -> Function:
    return Function(Elementwise.HARD_SWISH, 1 / 6, 0.5)


def _silu() -> Function:
    return Function(Elementwise.SWISH, 1.0)


FUNCTIONS: dict[Primitive, Callable[..., Function]] = {
    leaky_relu: _leaky_relu,
    elu: _elu,
    sigmoid: lambda: Function(Elementwise.SIGMOID),
    tanh: lambda: Function(Elementwise.TANH),
    silu: _silu,
    hard_silu: _hard_silu,
    gelu: _gelu,
    absolute: lambda: Function(Elementwise.ABSOLUTE),
    sqrt: lambda: Function(Elementwise.SQUARE_ROOT),
    square: lambda: Function(Elementwise.SQUARE),
}
"""The function that equals a primitive, from its options."""

FOLLOWING_FUNCTIONS: dict[Primitive, Callable[..., Function]] = {
    relu: lambda: Function(Elementwise.HARD_SWISH, _STEEP),
    clip: lambda minimum, maximum: Function(Elementwise.CLIP, minimum, maximum),
    hard_sigmoid: _hard_sigmoid,
    selu: lambda: Function(Elementwise.ELU, SELU_ALPHA, scale=SELU_SCALE),
}
"""Those that only follow other results in fused chains.

clip and hard_sigmoid lose NaN, and selu is two functions. oneDNN's own relu loses NaN as well, which would hide a
training run that diverged: x · clip(steep · x, 0, 1) is relu and keeps it, at no cost that shows. It differs in giving
-0 for negative numbers, and NaN for minus infinity.
"""

LOSING_NAN: dict[Primitive, Callable[..., Function]] = {relu: lambda: Function(Elementwise.RELU)}
"""For where there can be no NaN, or nothing else is possible."""

_BY_INPUT: dict[Primitive, Callable[..., Function]] = {
    leaky_relu_gradient: _leaky_relu,
    elu_gradient: _elu,
    silu_gradient: _silu,
    hard_sigmoid_gradient: _hard_sigmoid,
    hard_silu_gradient: _hard_silu,
    gelu_gradient: _gelu,
}
_BY_RESULT: dict[Primitive, ElementwiseByResult] = {
    relu_gradient: ElementwiseByResult.RELU,
    sigmoid_gradient: ElementwiseByResult.SIGMOID,
    tanh_gradient: ElementwiseByResult.TANH,
}

# Below so many elements NumPy is faster than starting oneDNN's threads: where it sweeps over memory several times, for
# its own vectorised tanh, and where it sweeps once.
_SMALLEST = 1 << 12
_SMALLEST_OF = {tanh: 1 << 14, absolute: 1 << 16, sqrt: 1 << 16, square: 1 << 16, relu_gradient: 1 << 17}


def _forward(function_of: Callable[..., Function]) -> Prepare:
    def prepare(inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]) -> Executable | None:
        """y from x."""
        if not all(map(is_plain_float, inputs)):
            return None
        algorithm, alpha, beta, _ = function_of(**options)
        flat = row_major((math.prod(inputs[0].shape),))
        description = PrimitiveDescriptor("eltwise_forward", Propagation.INFERENCE, algorithm, flat, flat, alpha, beta)
        ports = [Port(Argument.SOURCE, 0, flat)]
        return OneDnnExecutable(description, ports, [Port(Argument.RESULT, 0, flat)], inputs, inplace=[(0, 0)])

    return prepare


def _by_input(function_of: Callable[..., Function], **options: Any) -> tuple[int, float, float]:
    return function_of(**options)[:3]


def _by_result(algorithm: ElementwiseByResult) -> tuple[int, float, float]:
    return algorithm, 0.0, 0.0


def _backward(description_of: Callable[..., tuple[int, float, float]], operand: Argument) -> Prepare:
    def prepare(inputs: Sequence[Spec], outputs: Sequence[Spec | None], options: dict[str, Any]) -> Executable | None:
        """dx from dy and x or y. relu: where y is not positive an infinite dy gives NaN, not 0."""
        if not all(map(is_plain_float, inputs)):
            return None
        algorithm, alpha, beta = description_of(**options)
        flat = row_major((math.prod(inputs[0].shape),))
        hint = PrimitiveDescriptor("eltwise_forward", Propagation.TRAINING, algorithm, flat, flat, alpha, beta)
        description = PrimitiveDescriptor("eltwise_backward", algorithm, flat, flat, flat, alpha, beta, hint)
        ports = [Port(Argument.RESULT_GRADIENT, 0, flat), Port(operand, 1, flat)]
        results = [Port(Argument.SOURCE_GRADIENT, 0, flat)]
        return OneDnnExecutable(description, ports, results, inputs, inplace=[(0, 0)])

    return prepare


def _register(target: Primitive, prepare: Prepare) -> None:
    kernel(target, "onednn", _SMALLEST_OF.get(target, _SMALLEST))(declining(prepare))


for _target, _function in FUNCTIONS.items():
    _register(_target, _forward(_function))
for _target, _function in _BY_INPUT.items():
    _register(_target, _backward(partial(_by_input, _function), Argument.SOURCE))
for _target, _algorithm in _BY_RESULT.items():
    _register(_target, _backward(partial(_by_result, _algorithm), Argument.RESULT))
