"""What the peers do for a request, each as somebody would write it who knows Pillow and ONNX Runtime well.

They decode the same upload to the same input as Beagle, and answer with the same JSON.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.models.noop_worker import LABELS, PROBABILITIES, TOP
from tests.benchmarks.networks.shapes import IMAGE_SIDE, PIXEL_DEVIATION, PIXEL_MEAN, RESNET50_TOP_K

_REDUCING_GAP = 2.0

Predictions = list[dict[str, Any]]
Decode = Callable[[bytes], NDArray[np.uint8]]


class Task(Protocol):
    """Decoding and the model."""

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """From the uploaded file to the model's input."""
        ...

    def predict(self, images: NDArray[np.uint8]) -> list[Predictions]:
        """The answers for a batch, [n, …]."""
        ...


def answer(predictions: Predictions) -> dict[str, Any]:
    """The JSON that Beagle gives."""
    return {"success": True, "predictions": predictions}


def decode_digit(data: bytes) -> NDArray[np.uint8]:
    """To uint8 [28, 28]."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def decode_photo(data: bytes) -> NDArray[np.uint8]:
    """To uint8 [224, 224, 3], a JPEG of a larger scale decoded at a reduced one."""
    file = Image.open(io.BytesIO(data))
    size = (IMAGE_SIDE, IMAGE_SIDE)
    file.draft("RGB", (int(size[0] * _REDUCING_GAP), int(size[1] * _REDUCING_GAP)))
    image = file.convert("RGB")
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP))


def normalise(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What ResNet50 gets for pixels, channels last."""
    x = images.astype(np.float32)
    x -= PIXEL_MEAN
    x /= PIXEL_DEVIATION
    return x


def best(probabilities: NDArray[np.float32]) -> list[Predictions]:
    """The best classes of each row, best first."""
    candidates = np.argpartition(-probabilities, RESNET50_TOP_K, axis=1)[:, :RESNET50_TOP_K]
    lists = []
    for row, classes in zip(probabilities, candidates, strict=True):
        ordered = classes[np.argsort(-row[classes])]
        lists.append([{"label": f"class {c}", "probability": round(float(row[c]), 6)} for c in ordered])
    return lists


class Noop:
    """Fixed predictions, whatever was decoded."""

    def __init__(self, decode: Decode) -> None:
        self._decode = decode

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        return self._decode(data)

    def predict(self, images: NDArray[np.uint8]) -> list[Predictions]:
        return [_FIXED] * len(images)


_FIXED = [{"label": label, "probability": PROBABILITIES[LABELS.index(label)]} for label in TOP]


class ResNet50:
    """A photograph, and ResNet50 in ONNX Runtime.

    Args:
        model: the ONNX file.
        threads: of ONNX Runtime; 0 takes the machine's processors.
        spinning: whether its idle threads go on looking for work for a while, which costs the other processes time.
    """

    def __init__(self, model: str, threads: int, spinning: bool) -> None:
        import onnxruntime  # a worker for the other tasks does without

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        return decode_photo(data)

    def predict(self, images: NDArray[np.uint8]) -> list[Predictions]:
        x = np.ascontiguousarray(normalise(images).transpose(0, 3, 1, 2))
        return best(self._session.run(None, {self._input: x})[0])


DECODERS: Mapping[str, Decode] = {"digit": decode_digit, "photo": decode_photo, "resnet50": decode_photo}
NAMES = tuple(DECODERS)


def make(name: str, model: str = "", threads: int = 0, spinning: bool = True) -> Task:
    """A task by its name; the other arguments are those of `ResNet50`."""
    return ResNet50(model, threads, spinning) if name == "resnet50" else Noop(DECODERS[name])
