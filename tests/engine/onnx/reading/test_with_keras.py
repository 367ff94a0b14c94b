"""Imported networks as Keras's files: real Keras opens those of Keras's layers; and real files from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from engine.onnx import read_model
from tests.engine.keras_reference import keras
from tests.engine.onnx.graphs import graph, imported, run

node = helper.make_node
RNG = np.random.default_rng(15)


def floats(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


NORM = {name: RNG.random(size=4).astype(np.float32) + 0.1 for name in "sbmv"}
NODES = [
    node("Conv", ["x", "k1"], ["c1"], pads=[1, 1, 1, 1], strides=[2, 2]),
    node("BatchNormalization", ["c1", *"sbmv"], ["n1"]),
    node("Clip", ["n1", "nought", "six"], ["r1"]),
    node("Conv", ["r1", "k2"], ["d1"], group=4, pads=[1, 1, 1, 1]),
    node("Add", ["d1", "r1"], ["a1"]),
    node("MaxPool", ["a1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
    node("GlobalAveragePool", ["p1"], ["g1"]),
    node("Flatten", ["g1"], ["f1"]),
    node("Gemm", ["f1", "w", "o"], ["l1"], transB=1),
    node("Softmax", ["l1"], ["y"], axis=1),
]
CONSTANTS = {
    "k1": floats(4, 3, 3, 3), "k2": floats(4, 1, 3, 3), "w": floats(5, 4), "o": floats(5), "nought": np.float32(0),
    "six": np.float32(6), **NORM,
}  # fmt: skip


def test_real_keras_opens_an_imported_network_of_its_layers(tmp_path: Path) -> None:
    model = imported(graph(NODES, {"x": ["N", 3, 8, 8]}, ["y"], CONSTANTS))
    model.save(tmp_path / "imported.keras")
    theirs = keras.models.load_model(tmp_path / "imported.keras")
    x = floats(3, 3, 8, 8)
    np.testing.assert_allclose(np.asarray(theirs(x)), run(model, x)[0], rtol=1e-4, atol=1e-6)


def test_real_keras_does_not_open_what_holds_a_layer_of_ours(tmp_path: Path) -> None:
    nodes = [*NODES[:1], node("LRN", ["c1"], ["y"], size=3)]
    model = imported(graph(nodes, {"x": ["N", 3, 8, 8]}, ["y"], CONSTANTS))
    model.save(tmp_path / "imported.keras")
    with pytest.raises(Exception, match="LocalResponseNormalization"):
        keras.models.load_model(tmp_path / "imported.keras")


@pytest.fixture
def real_files() -> Path:
    """The folder of real ONNX files; a test that needs it is skipped where it is absent."""
    default = Path(__file__).parents[5] / "shared" / "data"
    folder = Path(os.environ.get("BEAGLE_TEST_DATA", default)) / "onnx"
    if not folder.is_dir():
        pytest.skip(f"there is no folder of real files at {folder} (BEAGLE_TEST_DATA names its parent)")
    return folder


@pytest.mark.parametrize(("name", "tolerance"), [("mnist", 1e-5), ("SqueezeNet_fp16", 2e-2)])
def test_a_real_file_gives_what_onnx_runtime_gives(real_files: Path, name: str, tolerance: float) -> None:
    path = real_files / f"{name}.onnx"
    session = onnxruntime.InferenceSession(path)
    (asked,) = session.get_inputs()
    dtype = np.float16 if asked.type == "tensor(float16)" else np.float32
    x = RNG.random(size=[length if isinstance(length, int) else 1 for length in asked.shape]).astype(np.float32)
    expected = session.run(None, {asked.name: x.astype(dtype)})[0].astype(np.float32)
    (found,) = run(read_model(path), x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
