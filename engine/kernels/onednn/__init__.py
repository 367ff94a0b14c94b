"""Kernels on oneDNN, through its C API by ctypes. Importing the package loads the library and registers them."""

from engine.kernels.onednn import activations, convolution, linear, normalization, pooling

__all__ = ["activations", "convolution", "linear", "normalization", "pooling"]
