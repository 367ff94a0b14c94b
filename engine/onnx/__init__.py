"""ONNX files in and out (`engine.onnx`). The package `onnx` is needed, and imported when a file is read or written."""

from engine.onnx.reading import read_model

__all__ = ["read_model"]
