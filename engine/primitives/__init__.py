"""Primitives: the differentiable operations that everything else is made of.

Importing the package declares them all and installs the operators of `Value`.
"""

from engine.primitives import (
    activations,
    convolution,
    elementwise,
    indexing,
    layer_normalization,
    linear,
    normalization,
    operators,
    pooling,
    random,
    recurrent,
    reductions,
    resampling,
    shaping,
)

__all__ = [
    "activations",
    "convolution",
    "elementwise",
    "indexing",
    "layer_normalization",
    "linear",
    "normalization",
    "operators",
    "pooling",
    "random",
    "recurrent",
    "reductions",
    "resampling",
    "shaping",
]
