"""Kernels on oneDNN, through its C API by ctypes. Importing the package loads the library and registers them."""

from engine.kernels.onednn import (
    binary,
    convolution,
    elementwise,
    fusion,
    joining,
    layer_normalization,
    linear,
    normalization,
    pooling,
    precision,
    recurrent,
    reduction,
    resampling,
    softmax,
    transposed,
    updates,
)

__all__ = [
    "binary",
    "convolution",
    "elementwise",
    "fusion",
    "joining",
    "layer_normalization",
    "linear",
    "normalization",
    "pooling",
    "precision",
    "recurrent",
    "reduction",
    "resampling",
    "softmax",
    "transposed",
    "updates",
]
