"""The onnx package, asked for only where an ONNX file is read or written."""

from __future__ import annotations

from typing import Any


def onnx_package() -> Any:
    """The `onnx` package.

    Raises:
        ImportError: it is not installed; the message says how to get it.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "ONNX files need the package onnx, which is not installed: pip install 'beagle-serve[onnx]'"
        ) from error
    return onnx
