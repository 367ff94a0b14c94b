"""Bidirectional and TimeDistributed against Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import layers
from engine.registry import deserialize, serialize
from tests.engine.keras_reference import as_json, keras

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
MASK = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)


def _pair(make: Any, shape: tuple[int, ...] = X.shape) -> tuple[Any, Any]:
    """What `make` makes of Keras and of us, with the same weights."""
    theirs, ours = make(keras), make(engine)
    rng = np.random.default_rng(7)
    for layer in (theirs, ours):
        if not layer.built:
            layer.build(shape)
    weights = [rng.uniform(0.1, 0.9, weight.shape).astype(np.float32) for weight in theirs.weights]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


def _flat(results: Any) -> list[Any]:
    return [np.asarray(item) for item in (results if isinstance(results, (list, tuple)) else [results])]


def _assert_same(theirs: Any, ours: Any) -> None:
    for expected, received in zip(_flat(theirs), _flat(ours), strict=True):
        np.testing.assert_allclose(received, expected, rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize(
    ("options", "merge_mode"),
    [
        ({"return_sequences": True}, "concat"),
        ({"return_sequences": True, "return_state": True}, "sum"),
        ({}, "ave"),
        ({"return_state": True}, "mul"),
        ({"return_sequences": True}, None),
    ],
    ids=str,
)
def test_both_directions_are_merged_as_in_keras(options: dict[str, Any], merge_mode: str | None) -> None:
    def make(k: Any) -> Any:
        return k.layers.Bidirectional(k.layers.LSTM(3, name="x", **options), merge_mode=merge_mode, name="b")

    theirs, ours = _pair(make)
    for mask in (None, MASK):
        _assert_same(theirs(X, mask=mask), ours(X, mask=mask))
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    again = deserialize(as_json(serialize(ours)))
    again.set_weights(ours.get_weights())
    _assert_same(ours(X), again(X))
    symbolic = ours(engine.Input((None, 4)))
    expected = theirs(keras.Input((None, 4)))
    shapes = [item.shape for item in (symbolic if isinstance(symbolic, (list, tuple)) else [symbolic])]
    assert shapes == [item.shape for item in (expected if isinstance(expected, (list, tuple)) else [expected])]


def test_a_backward_layer_of_another_kind() -> None:
    def make(k: Any) -> Any:
        backward = k.layers.LSTM(3, activation="relu", go_backwards=True, name="other")
        return k.layers.Bidirectional(k.layers.LSTM(3, name="x"), backward_layer=backward, name="b")

    _assert_same(*(layer(X) for layer in _pair(make)))
    with pytest.raises(ValueError, match="must differ in `go_backwards`"):
        layers.Bidirectional(layers.GRU(2), backward_layer=layers.GRU(2))
    with pytest.raises(ValueError, match="must agree in `return_sequences`"):
        layers.Bidirectional(layers.GRU(2), backward_layer=layers.GRU(2, go_backwards=True, return_sequences=True))
    with pytest.raises(ValueError, match="`merge_mode` must be one of"):
        layers.Bidirectional(layers.GRU(2), merge_mode="max")


def test_first_states_are_shared_out() -> None:
    theirs, ours = _pair(lambda k: k.layers.Bidirectional(k.layers.GRU(3, name="x"), name="b"))
    states = [np.full((3, 3), value, np.float32) for value in (0.2, -0.3)]
    _assert_same(theirs(X, initial_state=states), ours(X, initial_state=states))


@pytest.mark.parametrize("inner", ["Dense", "Conv1D", "BatchNormalization"])
@pytest.mark.parametrize("training", [False, True])
def test_every_step_of_time_goes_through_the_layer(inner: str, training: bool) -> None:
    options = {"Dense": {"units": 2}, "Conv1D": {"filters": 2, "kernel_size": 2}, "BatchNormalization": {}}[inner]
    x = np.random.default_rng(0).normal(size=(3, 4, 5, 2) if inner == "Conv1D" else (3, 4, 5)).astype(np.float32)

    def make(k: Any) -> Any:
        return k.layers.TimeDistributed(getattr(k.layers, inner)(name="i", **options), name="t")

    theirs, ours = _pair(make, x.shape)
    _assert_same(theirs(x, training=training), ours(x, training=training))
    _assert_same(theirs.get_weights(), ours.get_weights())
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))
    assert ours(engine.Input((None, *x.shape[2:]))).shape == theirs(keras.Input((None, *x.shape[2:]))).shape
    with pytest.raises(ValueError, match="at least three axes"):
        layers.TimeDistributed(layers.Dense(2))(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("writer", ["ours", "keras"])
def test_models_with_wrappers_travel(writer: str, tmp_path: Path) -> None:
    def make(k: Any) -> Any:
        layer = k.layers
        return k.Sequential(
            [
                k.Input((5, 4)),
                layer.Masking(),
                layer.Bidirectional(layer.GRU(2, return_sequences=True)),
                layer.TimeDistributed(layer.Dense(3)),
                layer.RNN([layer.LSTMCell(3), layer.SimpleRNNCell(2)]),
            ]
        )

    theirs, ours = _pair(make)
    model, reader = (ours, keras) if writer == "ours" else (theirs, engine)
    model.save(tmp_path / "m.keras")
    x = X * MASK[..., np.newaxis]
    _assert_same(theirs(x), reader.models.load_model(tmp_path / "m.keras")(x))


def test_only_recurrent_layers_go_in_both_directions() -> None:
    with pytest.raises(TypeError, match=r"`layer` must be a recurrent layer, .* Received: Dense 'flat', without go"):
        layers.Bidirectional(layers.Dense(3, name="flat"))
    with pytest.raises(TypeError, match="`backward_layer` must be a recurrent layer"):
        layers.Bidirectional(layers.LSTM(3), backward_layer=layers.Dense(3))
