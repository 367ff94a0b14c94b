"""Small files as real exporters write them (tests/data/onnx): outputs, saving, fine-tuning, sessions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import engine
from engine import layers, losses, models, optimizers
from engine.inspection import inspect_file
from engine.registry import place

FOLDER = Path(__file__).parents[2] / "data" / "onnx"
FILES = sorted(json.loads((FOLDER / "files.json").read_text(encoding="utf-8")))

TOLERANCE = 1e-4  # of the largest output
# Exporters' own rounding: float16 is computed in float32 here; a quantised value may fall to the neighbouring step.
TOLERANCES = {"mobilenet_half": 1e-2, "qdq": 4e-2, "qoperator": 4e-2}

# What is quantised or made of trees is not trained on.
TRAINED = [name for name in FILES if name not in ("qdq", "qoperator", "sklearn_forest")]


@dataclass(frozen=True)
class Recorded:
    """Three rows of inputs and of ONNX Runtime's outputs."""

    inputs: list[NDArray[Any]]
    outputs: list[NDArray[Any]]

    def rows(self, count: int) -> Any:
        """The first rows, as the model takes them."""
        taken = [array[:count] for array in self.inputs]
        return taken[0] if len(taken) == 1 else taken


def recorded(name: str) -> Recorded:
    with np.load(FOLDER / f"{name}.npz") as file:
        return Recorded(
            [file[key] for key in file.files if key.startswith("in|")],
            [file[key] for key in file.files if key.startswith("out|")],
        )


@pytest.fixture(scope="module")
def loaded() -> dict[str, Any]:
    """The models that were loaded, by name."""
    return {}


@pytest.fixture
def model(request: pytest.FixtureRequest, loaded: dict[str, Any]) -> Any:
    """The model of the file that the test is about."""
    name = request.getfixturevalue("name")
    if name not in loaded:
        loaded[name] = models.load_model(FOLDER / f"{name}.onnx")
    return loaded[name]


def listed(outputs: Any) -> list[NDArray[Any]]:
    return [np.asarray(item) for item in (outputs if isinstance(outputs, list | tuple) else [outputs])]


def assert_equal_outputs(actual: Any, expected: list[NDArray[Any]], tolerance: float) -> None:
    actual = listed(actual)
    assert [item.shape for item in actual] == [item.shape for item in expected]
    for item, array in zip(actual, expected, strict=True):
        limit = tolerance * float(np.abs(array).max())
        np.testing.assert_allclose(item.astype(np.float64), array.astype(np.float64), rtol=0, atol=limit)


@pytest.mark.parametrize("name", FILES)
def test_an_exported_file_gives_the_outputs_of_onnx_runtime_for_any_batch(name: str, model: Any) -> None:
    answers = recorded(name)
    tolerance = TOLERANCES.get(name, TOLERANCE)
    for count in (1, 3):
        expected = [array[:count] for array in answers.outputs]
        assert_equal_outputs(model.predict_on_batch(answers.rows(count)), expected, tolerance)


@pytest.mark.parametrize("name", FILES)
def test_an_imported_model_is_saved_and_opened_again(name: str, model: Any, tmp_path: Path) -> None:
    rows = recorded(name).rows(3)
    model.save(tmp_path / "saved.keras")
    again = models.load_model(tmp_path / "saved.keras")
    expected = listed(model.predict_on_batch(rows))
    assert_equal_outputs(again.predict_on_batch(rows), expected, 1e-6)
    assert [variable.shape for variable in again.weights] == [variable.shape for variable in model.weights]


@pytest.mark.parametrize("name", FILES)
def test_a_session_of_an_imported_model_gives_the_same(name: str, model: Any) -> None:
    rows = recorded(name).rows(3)
    session = engine.InferenceSession(model, batch_sizes=(3,))
    assert_equal_outputs(session.run(rows), listed(model.predict_on_batch(rows)), 1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_an_imported_model_is_fine_tuned(name: str) -> None:
    model = models.load_model(FOLDER / f"{name}.onnx")
    answers = recorded(name)
    trained, targets = model, answers.outputs[-1].astype(np.float32)
    if len(model.outputs) > 1:  # of a label and probabilities
        trained = engine.Model(model.inputs, model.outputs[-1])
    targets = np.roll(targets, 1, axis=-1)
    trained.compile(optimizers.SGD(1e-3), losses.MeanSquaredError())
    before = [np.array(variable) for variable in trained.trainable_variables]
    history = trained.fit(answers.rows(3), targets, batch_size=3, epochs=3, shuffle=False, verbose=0)
    loss = history.history["loss"]
    assert np.isfinite(loss).all()
    if not any(isinstance(layer, layers.Dropout) for layer in model.layers):  # which each step draws anew
        assert loss[-1] < loss[0]
    changed = [not np.array_equal(old, new) for old, new in zip(before, trained.trainable_variables, strict=True)]
    assert any(changed)
    assert sum(changed) >= 0.8 * len(changed)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("resnet", 1),  # the input's
        ("mobilenet", 1),
        ("mobilenet_dynamo", 1),
        ("densenet_fixed_batch", 1),
        ("old_caffe2", 1),
        ("shufflenet", 3),  # each shuffle is one
        ("tf2onnx_cnn", 0),  # what comes in is channels-last
        ("keras_cnn", 0),
    ],
)
def test_a_network_of_maps_is_transposed_at_its_input_alone(name: str, allowed: int, model: Any) -> None:
    rows = engine.InferenceSession(model, batch_sizes=(3,)).describe(print_fn=lambda text: None)
    transposes = [row["inputs"] for row in rows if row["primitive"] == "transpose"]
    assert len(transposes) == allowed, transposes


def test_files_name_their_exporters() -> None:
    assert set(FILES) == {file.stem for file in FOLDER.glob("*.onnx")} == {file.stem for file in FOLDER.glob("*.npz")}
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < 1 << 20


@pytest.mark.parametrize("name", FILES)
def test_inspection_warns_of_layers_that_keras_does_not_know(model: Any, name: str) -> None:
    report = inspect_file(FOLDER / f"{name}.onnx")
    assert report.supported
    warned = any("Keras itself cannot open" in note for note in report.notes)
    ours = [layer.name for layer in model.layers if str(place(type(layer))[0]).startswith("beagle")]
    assert warned or not ours
