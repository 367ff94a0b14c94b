"""A small network quantised by ONNX Runtime, in both forms."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from tests.data.onnx import torch_networks as networks
from tests.data.onnx.make import Inputs
from tests.data.onnx.torch_files import pictures, traced


class _Pictures(CalibrationDataReader):
    """What the ranges are measured on."""

    def __init__(self) -> None:
        self._batches: Iterator[NDArray[np.float32]] = iter([pictures(seed).numpy() for seed in range(8)])

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"input": batch}


def _quantized(file: Path, form: QuantFormat, activations: QuantType) -> tuple[Inputs, str]:
    with tempfile.TemporaryDirectory(prefix="b-") as folder:
        plain = Path(folder) / "plain.onnx"
        inputs, exporter = traced(plain, networks.resnet, pictures(), 13)
        quantize_static(
            plain,
            file,
            _Pictures(),
            quant_format=form,
            per_channel=True,
            activation_type=activations,
            weight_type=QuantType.QInt8,
        )
    return inputs, f"onnxruntime {onnxruntime.__version__}, {form}, from {exporter}"


def qdq(file: Path) -> tuple[Inputs, str]:
    """QuantizeLinear and DequantizeLinear around each operator, a scale for each channel of the weights."""
    return _quantized(file, QuantFormat.QDQ, QuantType.QInt8)


def qoperator(file: Path) -> tuple[Inputs, str]:
    """QLinearConv and its like; unsigned activations."""
    return _quantized(file, QuantFormat.QOperator, QuantType.QUInt8)
