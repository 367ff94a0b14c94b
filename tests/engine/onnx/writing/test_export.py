"""The file itself: names, metadata, external weights, `Model.export`, and what is refused."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import engine as keras
from engine import layers as L
from engine.onnx.writing import write_model
from engine.tensor import CaptureError
from tests.engine.models.architectures import branches, classifier
from tests.engine.onnx.writing.runtime import rows, written
from tests.engine.saving.architectures import randomise


def test_export_writes_a_file_that_others_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = classifier(keras)
    path = tmp_path / "digits.onnx"
    model.export(path, verbose=True, opset_version=18, labels=["one", "two", "three"])
    assert str(path) in capsys.readouterr().out
    proto = onnx.load(path)
    assert proto.producer_name == "beagle"
    assert [item.version for item in proto.opset_import] == [18]
    assert json.loads({item.key: item.value for item in proto.metadata_props}["labels"]) == ["one", "two", "three"]
    x = rows(2, (12, 12, 1))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def test_large_weights_lie_in_a_file_beside_it(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((40,)), L.Dense(50), L.Dense(3)])
    path = tmp_path / "large.onnx"
    x = rows(2, (40,))
    for seed in range(2):  # written again, the old weights are gone
        randomise(model, seed)
        write_model(model, path, external_data=True)
        assert (tmp_path / "large.onnx.data").stat().st_size < 2 * model.count_params() * 4
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {session.get_inputs()[0].name: x})
        np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    assert path.stat().st_size < 4000


def test_inputs_outputs_weights_and_nodes_have_the_models_names() -> None:
    model = branches(keras)
    graph = written(model).graph
    assert [item.name for item in graph.input] == ["a", "b"]
    assert [item.name for item in graph.output] == ["o", "p"]
    weights = {weight.path for weight in model.weights}
    assert weights <= {tensor.name for tensor in graph.initializer}
    assert {"shared/Gemm", "shared/Gemm_1"} <= {node.name for node in graph.node}


def test_shared_layers_have_their_weights_once() -> None:
    dense, recurrent, channels = L.Dense(3), L.LSTM(2, return_sequences=True), L.Dense(4)
    a, b = keras.Input((4, 5, 3)), keras.Input((4, 5, 3))
    convolution = L.Conv2D(3, 1)
    results = [channels(convolution(x)) for x in (a, b)]
    ends = [dense(L.Flatten()(recurrent(L.Reshape((20, 4))(x)))) for x in results]
    model = keras.Model([a, b], [*ends, *(dense(L.Flatten()(recurrent(L.Reshape((20, 4))(x)))) for x in results)])
    graph = written(model).graph
    names = [tensor.name for tensor in graph.initializer]
    assert sorted(name for name in names if "/" in name) == sorted(weight.path for weight in model.weights)


def test_batch_normalisation_stays_what_it_is() -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(2, 3), L.BatchNormalization(name="normal")])
    graph = written(model).graph
    (node,) = [node for node in graph.node if node.op_type == "BatchNormalization"]
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    assert [name.split("/")[-1] for name in node.input[1:]] == list(names)


# Refusals ------------------------------------------------------------------------------------------------------------


def _dense() -> Any:
    return keras.Sequential([keras.Input((2,)), L.Dense(1)])


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'expected format="onnx".*tf_saved_model'):
        _dense().export(tmp_path / "m", format="tf_saved_model")


@pytest.mark.parametrize("opset", [6, 12, 22, "17"])
def test_an_opset_that_is_not_known_is_refused(opset: Any) -> None:
    with pytest.raises(ValueError, match="opset: expected 13 to 21"):
        written(_dense(), opset=opset)


def test_a_model_of_unknown_shapes_asks_for_them() -> None:
    model = keras.Sequential([L.Dense(2)])
    with pytest.raises(ValueError, match="input_signature"):
        written(model)
    proto = written(model, input_signature=[keras.InputSpec(shape=(None, 3))])
    assert proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 3


def test_a_signature_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has shape \(None, 2\). Received: \(None, 3\)"):
        written(_dense(), input_signature=[keras.InputSpec(shape=(None, 3))])
    with pytest.raises(ValueError, match="has 1 inputs"):
        written(_dense(), input_signature=[keras.InputSpec(shape=(None, 2))] * 2)
    with pytest.raises(ValueError, match="a full shape"):
        written(_dense(), input_signature=[keras.InputSpec(ndim=2)])


def test_state_and_random_numbers_are_refused() -> None:
    stateful = keras.Sequential([keras.Input(batch_shape=(2, 4, 3)), L.LSTM(2, stateful=True)])
    with pytest.raises(ValueError, match=r"changes variables while it predicts.*rnn_state"):
        written(stateful)

    class Noise(L.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.seed = keras.random.SeedGenerator(1)

        def call(self, x: Any) -> Any:
            return x + keras.random.normal((4,), seed=self.seed)

    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match="random"):
        written(keras.Model(inputs, Noise()(inputs)))


def test_python_that_looks_at_values_is_refused() -> None:
    class Looks(keras.Model):
        def call(self, x: Any) -> Any:
            return x if float(keras.ops.sum(x)) > 0 else -x

    model = Looks()
    model(np.ones((2, 4), np.float32))
    with pytest.raises(CaptureError, match="needs the value"):
        written(model)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnx":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "onnx")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'beagle-serve\[onnx\]'"):
        _dense().export(tmp_path / "m.onnx")
