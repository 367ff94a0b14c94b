"""An application as an ONNX file that one exporter writes, float32: to be imported.

`python -m tests.benchmarks.networks.exported_files EXPORTER-NAME FOLDER` reads what `networks.weights` wrote there, the
exporter being `torch` or `keras`. Their networks have the operations of ours: PyTorch's is built as Keras's is
(torchvision's ResNet50 has the stride in the 3x3 convolutions, which is more work).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def with_torch(name: str, folder: Path) -> None:
    """Write `NAME.onnx`, channels first."""
    from tests.benchmarks.networks.onnx_files import export

    export(name, folder)


def with_keras(name: str, folder: Path) -> None:
    """Write `NAME-keras.onnx`, channels last, by TensorFlow and tf2onnx."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import numpy as np

    model = keras.models.load_model(folder / f"{name}.keras")
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras exports only what has been called
    model.export(str(folder / f"{name}-keras.onnx"), format="onnx", verbose=False)


EXPORTERS = {"torch": with_torch, "keras": with_keras}


def main(arguments: Sequence[str]) -> None:
    """Write one file."""
    network, folder = arguments
    exporter, name = network.split("-")
    EXPORTERS[exporter](name, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
