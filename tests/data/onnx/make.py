"""Writes the small ONNX files of this folder as real exporters write them, and what ONNX Runtime answers to each.

    python -m tests.data.onnx.make [NAME …]

The exporters are large and contradict each other's requirements, so that one environment rarely has them all: what a
missing one would write is left as it is, and a line says so. `files.json` keeps who wrote each file. Weights are
random; batch normalisation has statistics near its inputs', lest the outputs be degenerate.

`NAME.npz` holds three rows of each input (`in|name`) and of each output (`out|name`). A file whose batch is fixed is
run row by row.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
ROWS = 3

Inputs = Mapping[str, NDArray[Any]]
Maker = Callable[[Path], tuple[Inputs, str]]
"""Writes a file, and returns rows of its inputs, and the exporter with its version."""

MAKERS = {
    "resnet": "torch_files",
    "resnet_training": "torch_files",
    "mobilenet": "torch_files",
    "mobilenet_dynamo": "torch_files",
    "mobilenet_half": "torch_files",
    "densenet_fixed_batch": "torch_files",
    "shufflenet": "torch_files",
    "vision_transformer": "torch_files",
    "vision_transformer_dynamo": "torch_files",
    "lstm": "torch_files",
    "gru": "torch_files",
    "text_cnn": "torch_files",
    "perceptron": "torch_files",
    "external": "torch_files",
    "qdq": "quantized_files",
    "qoperator": "quantized_files",
    "tf2onnx_cnn": "tensorflow_files",
    "tf2onnx_lstm": "tensorflow_files",
    "keras_cnn": "tensorflow_files",
    "keras_text": "tensorflow_files",
    "sklearn_logistic": "sklearn_files",
    "sklearn_forest": "sklearn_files",
    "old_caffe2": "old_files",
    "old_cntk": "old_files",
}
"""The module of this folder that makes each file, in a function of the file's name."""


def normal(seed: int, *shape: int) -> NDArray[np.float32]:
    """Random numbers, the same in each run; of few digits, so that they compress."""
    return (np.random.default_rng(seed).normal(size=shape).round(1)).astype(np.float32)


def outputs(file: Path, inputs: Inputs) -> dict[str, NDArray[Any]]:
    """What ONNX Runtime computes, without its optimisations, which may round otherwise."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]
    is_fixed = any(item.shape and item.shape[0] == 1 for item in session.get_inputs())
    step = 1 if is_fixed else ROWS
    runs = [
        session.run(names, {name: rows[start : start + step] for name, rows in inputs.items()})
        for start in range(0, ROWS, step)
    ]
    return {name: np.concatenate(parts) for name, parts in zip(names, zip(*runs, strict=True), strict=True)}


def make(name: str) -> str:
    """Write one file and its `.npz`; who wrote it."""
    maker: Maker = getattr(importlib.import_module(f"tests.data.onnx.{MAKERS[name]}"), name)
    file = FOLDER / f"{name}.onnx"
    inputs, exporter = maker(file)
    rows = {f"in|{key}": value for key, value in inputs.items()}
    rows.update({f"out|{key}": value for key, value in outputs(file, inputs).items()})
    np.savez_compressed(FOLDER / f"{name}.npz", **rows)
    versions = {item.domain or "onnx": item.version for item in onnx.load(file).opset_import}
    opsets = ", ".join(f"{domain} {version}" for domain, version in sorted(versions.items()))
    return f"{exporter}; {opsets}"


def main(names: list[str]) -> None:
    """Write the named files, or all of them."""
    listing = FOLDER / "files.json"
    written = json.loads(listing.read_text(encoding="utf-8")) if listing.exists() else {}
    for name in names or MAKERS:
        try:
            written[name] = make(name)
        except ImportError as error:
            print(f"{name} is left as it is: {error}")
            continue
        print(name, written[name], flush=True)
    content = {name: written[name] for name in MAKERS if name in written}
    listing.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
