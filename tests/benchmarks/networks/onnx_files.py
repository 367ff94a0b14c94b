"""The applications as ONNX files, for ONNX Runtime and OpenVINO: float32, and quantised to int8.

`python -m tests.benchmarks.networks.onnx_files NAME FOLDER` reads what `networks.weights` wrote there;
`networks.exported_files` writes the first of them alone.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from tests.benchmarks.networks.shapes import IMAGE_SIDE
from tests.benchmarks.networks.torch_networks import APPLICATIONS, load

INPUT = "images"
BATCH = "batch"
_OPSET = 17


class _Images(CalibrationDataReader):
    """Calibration in batches, so that not all activations lie in memory at once."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self._batches: Iterator[NDArray[np.float32]] = iter(np.array_split(images, max(1, len(images) // 4)))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def export(name: str, folder: Path) -> None:
    """Write `NAME.onnx`: images [batch, 3, height, width] to probabilities, batch normalisation folded."""
    with np.load(folder / f"{name}.npz") as weights:
        network = nn.Sequential(load(APPLICATIONS[name](), weights), nn.Softmax(1)).eval()
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, IMAGE_SIDE, IMAGE_SIDE),),
        folder / f"{name}.onnx",
        input_names=[INPUT],
        output_names=["probabilities"],
        dynamic_axes={INPUT: {0: BATCH}, "probabilities": {0: BATCH}},
        opset_version=_OPSET,
        dynamo=False,  # the newer exporter needs a library more, and gives the same graph
    )


def quantize(name: str, folder: Path) -> None:
    """Write `NAME-int8.onnx`: static, a scale for each output channel, calibrated on the images.

    Activations are unsigned: the graph optimiser of ONNX Runtime then replaces every node by an int8 one, while signed
    ones leave it with some float32 nodes and conversions between.
    """
    images = np.ascontiguousarray(np.load(folder / "images.npy").transpose(0, 3, 1, 2))
    with tempfile.TemporaryDirectory(prefix="b-") as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(folder / f"{name}.onnx", prepared, skip_symbolic_shape=True)
        # In int8, probabilities below 1/256 would be lost.
        nodes = onnx.load(prepared, load_external_data=False).graph.node
        probabilities = [node.name for node in nodes if node.op_type == "Softmax"]
        quantize_static(
            prepared,
            folder / f"{name}-int8.onnx",
            _Images(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=probabilities,
        )


def main(arguments: Sequence[str]) -> None:
    """Write the two files of one application."""
    name, folder = arguments
    export(name, Path(folder))
    quantize(name, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
