"""What is said of an ONNX file without building it, and the names of classes in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from engine.onnx import read_model
from engine.onnx.inspection import inspect_onnx
from engine.onnx.labels import class_labels
from tests.engine.onnx.graphs import graph
from tests.engine.onnx.reading.test_control_flow import ALWAYS, cell, loop

node = helper.make_node


def _written(folder: Path, model: Any) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_a_report_counts_and_names(tmp_path: Path) -> None:
    constants = {"k": np.ones((4, 3, 3, 3), np.float32), "b": np.ones(4, np.float32), "left": np.ones(2, np.float32)}
    model = graph(
        [node("Conv", ["x", "k", "b"], ["c"]), node("Relu", ["c"], ["y"])], {"x": ["N", 3, 8, 8]}, ["y"], constants
    )
    report = inspect_onnx(_written(tmp_path, model))
    assert [(part.kind, part.parameters, part.problem) for part in report.parts] == [
        ("Conv", 112, None),
        ("Relu", 0, None),
    ]
    assert (report.parameters, report.problems) == (112, ())
    assert report.inputs[0].shape == (None, 3, 8, 8)
    assert "no node reads: left" in report.notes


def test_unknown_operators_are_problems_also_within_loops(tmp_path: Path) -> None:
    model = graph(
        [node("Det", ["x"], ["d"], name="first"), node("Odd", ["d"], ["y"], domain="some.where")],
        {"x": ["N", 3]},
        ["y"],
    )
    assert inspect_onnx(_written(tmp_path, model)).problems == (
        "Det 'first': the operator Det is not supported",
        "Odd 'y': the operator Odd of 'some.where' is not supported",
    )
    known = loop(cell(ALWAYS), ["times", "", "x"], times=5)
    report = inspect_onnx(_written(tmp_path, known))
    assert report.problems == ()
    assert report.parameters == 9
    assert not any("no node reads" in note for note in report.notes)
    unknown = loop(cell([*ALWAYS, node("Det", ["t"], ["d"])]), ["times", "", "x"], times=5)
    assert inspect_onnx(_written(tmp_path, unknown)).problems == ("Loop 'last': the operator Det is not supported",)


def test_no_weights_are_read(tmp_path: Path) -> None:
    model = graph([node("MatMul", ["x", "w"], ["y"])], {"x": ["N", 3]}, ["y"])
    tensor = model.graph.initializer.add(name="w", data_type=1, dims=[1 << 40, 1 << 20], data_location=1)
    tensor.external_data.add(key="location", value="w.bin")
    path = _written(tmp_path, model)
    assert any("'w'" in problem for problem in inspect_onnx(path).problems)
    (tmp_path / "w.bin").write_bytes(b"1234")
    report = inspect_onnx(path)
    assert report.parameters == 1 << 60
    assert report.size_bytes == path.stat().st_size + 4


def test_an_opset_that_is_too_old_is_a_problem(tmp_path: Path) -> None:
    report = inspect_onnx(_written(tmp_path, graph([node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, ["y"], opset=6)))
    assert report.problems == ("it is of opset 6; 7 to 21 are supported",)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('["ant", "bee"]', ("ant", "bee")),
        ('{"10": "k", "2": "c", "0": "a"}', ("a", "c", "k")),
        ("ant, bee ,cat", ("ant", "bee", "cat")),
        ("", ()),
    ],
)
def test_labels_in_metadata(text: str, labels: tuple[str, ...]) -> None:
    model = graph([node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, ["y"])
    model.metadata_props.add(key="class_names", value=text)
    assert class_labels(model) == labels


def test_a_model_knows_its_labels(tmp_path: Path) -> None:
    def classifier(**labels: Any) -> Path:
        numbers = {"coefficients": [1.0] * 6, "intercepts": [0.0] * 2}
        item = node("LinearClassifier", ["x"], ["l", "s"], domain="ai.onnx.ml", **numbers, **labels)
        return _written(tmp_path, graph([item], {"x": ["N", 3]}, ["l", "s"]))

    assert read_model(classifier(classlabels_strings=["ant", "bee"])).labels == ("ant", "bee")
    assert read_model(classifier(classlabels_ints=[3, 7])).labels == ("3", "7")
    plain = graph([node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, ["y"])
    assert read_model(_written(tmp_path, plain)).labels is None
