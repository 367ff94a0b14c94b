"""ONNX files that lie: tensors that bring other bytes than they claim, external data elsewhere, no graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.onnx import read_model
from engine.onnx.file import read_message, read_tensor
from tests.engine.onnx.graphs import graph, run

WEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4)


def _external(location: str, **entries: Any) -> Any:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3, 4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _model(tensor: Any) -> Any:
    model = graph([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["N", 3]}, ["y"])
    model.graph.initializer.append(tensor)
    return model


def _written(folder: Path, model: Any) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_are_read_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "w.bin").write_bytes(b"\xff" * 8 + WEIGHTS.tobytes())
    path = _written(tmp_path, _model(_external("parts/w.bin", offset=8, length=48)))
    (found,) = run(read_model(path), np.eye(3, dtype=np.float32))
    np.testing.assert_array_equal(found, WEIGHTS)


def test_external_data_outside_the_folder_are_refused(tmp_path: Path) -> None:
    inside = tmp_path / "model"
    inside.mkdir()
    secret = tmp_path / "secret.bin"
    secret.write_bytes(WEIGHTS.tobytes())
    (inside / "link.bin").symlink_to(secret)
    (inside / "folder").symlink_to(tmp_path)
    for location in ("../secret.bin", "link.bin", "folder/secret.bin", str(secret), "a\0b", ""):
        path = _written(inside, _model(_external(location)))
        with pytest.raises(ValueError, match="'w' takes its values from"):
            read_model(path)


@pytest.mark.parametrize(
    "entries",
    [{"offset": 1}, {"length": 40}, {"offset": -48}, {"offset": "many"}, {"length": 1 << 60}],
    ids=["beyond the end", "other length", "before the beginning", "no number", "gigantic"],
)
def test_external_data_that_do_not_fit_are_refused(tmp_path: Path, entries: dict[str, Any]) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    with pytest.raises(ValueError, match="'w'"):
        read_model(_written(tmp_path, _model(_external("w.bin", **entries))))


def test_missing_external_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'gone\.bin', which is not there"):
        read_model(_written(tmp_path, _model(_external("gone.bin"))))


def _lying(change: str) -> Any:
    tensor = numpy_helper.from_array(WEIGHTS, "w")
    if change == "too few bytes":
        tensor.raw_data = tensor.raw_data[:-1]
    elif change == "too many bytes":
        tensor.raw_data += b"\0"
    elif change == "gigantic":
        tensor.dims[:] = [1 << 40, 1 << 40]
    elif change == "negative":
        tensor.dims[:] = [-3, -4]
    elif change == "numbers in the wrong field":
        tensor.ClearField("raw_data")
        tensor.int64_data.extend(range(5))
    elif change == "texts":
        tensor.data_type = TensorProto.STRING
    else:
        tensor.data_type = TensorProto.COMPLEX64
    return tensor


@pytest.mark.parametrize(
    "change",
    ["too few bytes", "too many bytes", "gigantic", "negative", "numbers in the wrong field", "texts", "complex"],
)
def test_a_tensor_that_brings_other_than_it_claims_is_refused(change: str) -> None:
    with pytest.raises(ValueError, match="'w'"):
        read_tensor(_lying(change), None)


@pytest.mark.parametrize("content", [b"", b"\x08", b"PK\x03\x04 something", WEIGHTS.tobytes() * 10])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.onnx"):
        read_message(path)


def test_a_model_without_a_graph_is_refused(tmp_path: Path) -> None:
    model = _model(numpy_helper.from_array(WEIGHTS, "w"))
    model.ClearField("graph")
    with pytest.raises(ValueError, match="no graph"):
        read_model(_written(tmp_path, model))
    with pytest.raises(FileNotFoundError, match="no ONNX file"):
        read_model(tmp_path / "nothing.onnx")


def test_a_circle_and_nodes_out_of_order_are_refused(tmp_path: Path) -> None:
    node = helper.make_node
    circle = graph([node("Add", ["x", "b"], ["a"]), node("Neg", ["a"], ["b"])], {"x": ["N", 3]}, ["b"])
    with pytest.raises(ValueError, match="Add 'a' reads 'b', which nothing before it makes"):
        read_model(_written(tmp_path, circle))


def test_names_that_are_defined_twice_are_refused(tmp_path: Path) -> None:
    node = helper.make_node
    twice = graph(
        [node("Neg", ["x"], ["a"]), node("Abs", ["x"], ["a"]), node("Add", ["a", "x"], ["y"])], {"x": ["N", 3]}, ["y"]
    )
    with pytest.raises(ValueError, match="defines 'a' twice"):
        read_model(_written(tmp_path, twice))
