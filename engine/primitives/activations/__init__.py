"""Activations with a stable form of their own; the others are composed in `engine.ops`."""

from engine.primitives.activations.gaussian import erf, gelu, gelu_gradient
from engine.primitives.activations.rectifiers import (
    elu,
    elu_gradient,
    leaky_relu,
    leaky_relu_gradient,
    relu,
    relu_gradient,
    selu,
    selu_gradient,
)
from engine.primitives.activations.sigmoids import (
    hard_sigmoid,
    hard_sigmoid_gradient,
    hard_silu,
    hard_silu_gradient,
    sigmoid,
    sigmoid_gradient,
    silu,
    silu_gradient,
    softplus,
)
from engine.primitives.activations.softmax import log_softmax, log_softmax_gradient, softmax, softmax_gradient

POINTWISE = (elu, erf, gelu, hard_sigmoid, hard_silu, leaky_relu, relu, selu, sigmoid, silu, softplus)
"""Those that are functions of one number."""

__all__ = [
    "POINTWISE",
    "elu",
    "elu_gradient",
    "erf",
    "gelu",
    "gelu_gradient",
    "hard_sigmoid",
    "hard_sigmoid_gradient",
    "hard_silu",
    "hard_silu_gradient",
    "leaky_relu",
    "leaky_relu_gradient",
    "log_softmax",
    "log_softmax_gradient",
    "relu",
    "relu_gradient",
    "selu",
    "selu_gradient",
    "sigmoid",
    "sigmoid_gradient",
    "silu",
    "silu_gradient",
    "softmax",
    "softmax_gradient",
    "softplus",
]
