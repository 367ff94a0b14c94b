"""Recurrent layers and cells against Keras: outputs, states, masks, dropout, steps of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import engine
from engine import layers, ops
from engine.layers.recurrent import RNN
from engine.registry import deserialize, serialize
from tests.engine.keras_reference import as_json, keras

BATCH, TIME, FEATURES, UNITS = 3, 5, 3, 4
X = np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)).astype(np.float32)
MASK = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
NETWORKS = ("LSTM", "GRU", "SimpleRNN")
networks = pytest.mark.parametrize("name", NETWORKS)


def _same_weights(theirs: Any, ours: Any, shape: tuple[int, ...] = X.shape) -> tuple[Any, Any]:
    for layer in (theirs, ours):
        if not layer.built:
            layer.build(shape)
    rng = np.random.default_rng(7)
    weights = [rng.normal(0, 0.5, weight.shape).astype(np.float32) for weight in theirs.weights]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


def _pair(name: str, **options: Any) -> tuple[Any, Any]:
    """Keras's layer and ours with the same weights."""
    options = {"units": UNITS, "name": "tested", **options}
    return _same_weights(getattr(keras.layers, name)(**options), getattr(layers, name)(**options))


def _flat(results: Any) -> list[Any]:
    if isinstance(results, (list, tuple)):
        return [array for item in results for array in _flat(item)]
    return [np.asarray(results)]


def _assert_same(theirs: Any, ours: Any, tolerance: float = 3e-6) -> None:
    for expected, received in zip(_flat(theirs), _flat(ours), strict=True):
        np.testing.assert_allclose(received, expected, rtol=tolerance, atol=tolerance)


# Against Keras -------------------------------------------------------------------------------------------------------


@networks
@pytest.mark.parametrize(
    "options",
    [
        {"return_sequences": True, "return_state": True},
        {"return_sequences": True, "return_state": True, "go_backwards": True},
        {"activation": "sigmoid", "return_state": True, "go_backwards": True, "return_sequences": True},
        {"use_bias": False, "zero_output_for_mask": True, "return_sequences": True},
    ],
    ids=["forwards", "backwards", "unusual activation", "zeros for masked steps"],
)
def test_outputs_and_states_equal_keras_with_and_without_a_mask(name: str, options: dict[str, Any]) -> None:
    theirs, ours = _pair(name, **options)
    for mask in (None, MASK):
        _assert_same(theirs(X, mask=mask), ours(X, mask=mask))


@networks
def test_first_states_may_be_given(name: str) -> None:
    theirs, ours = _pair(name, return_sequences=True)
    states = [np.full((BATCH, UNITS), 0.3, np.float32)] * (2 if name == "LSTM" else 1)
    for mask in (None, MASK):
        _assert_same(theirs(X, initial_state=states, mask=mask), ours(X, initial_state=states, mask=mask))
    with pytest.raises(ValueError, match=r"expected \d initial states. Received: 3"):
        ours(X, initial_state=[states[0]] * 3)
    with pytest.raises(ValueError, match=r"states for a batch of 3. Received: \(2, 4\)"):
        ours(X, initial_state=[state[:2] for state in states])


@networks
def test_stateful_layers_go_on_where_they_stopped_until_they_are_reset(name: str) -> None:
    theirs, ours = _pair(name, stateful=True)
    first = ours(X).numpy()
    second = ours(X).numpy()
    _assert_same([theirs(X), theirs(X)], [first, second])
    assert np.abs(first - second).max() > 1e-3
    ours.reset_state()
    np.testing.assert_allclose(ours(X).numpy(), first, rtol=1e-6)
    assert len(ours.weights) == 3
    with pytest.raises(ValueError, match="is stateful"):
        ours(X[:2])


def test_a_stateful_model_keeps_its_states_between_plans() -> None:
    model = engine.Sequential([engine.Input(batch_shape=X.shape), layers.GRU(UNITS, stateful=True)])
    first, second = (model.predict(X, batch_size=BATCH, verbose=0) for _ in range(2))
    model.layers[0].reset_state()
    np.testing.assert_allclose(model(X).numpy(), first, rtol=1e-6)
    np.testing.assert_allclose(model(X).numpy(), second, rtol=1e-6)


def _stacked(k: Any) -> Any:
    cells = [k.layers.LSTMCell(4, name="a"), k.layers.GRUCell(3, name="b"), k.layers.SimpleRNNCell(2, name="c")]
    return k.layers.RNN(cells, return_sequences=True, return_state=True, name="tested")


def test_stacked_cells_equal_keras() -> None:
    theirs, ours = _same_weights(_stacked(keras), _stacked(engine))
    _assert_same(theirs(X), ours(X))
    assert as_json(serialize(ours)) == _named(as_json(keras.saving.serialize_keras_object(theirs)), ours.cell.name)
    again = deserialize(as_json(serialize(ours)))
    again.set_weights(ours.get_weights())
    _assert_same(ours(X), again(X), 0)


def _named(config: Any, stack: str) -> Any:
    """Stacks number their names by class, in each library for itself."""
    config["config"]["cell"]["config"]["name"] = stack
    return config


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "SimpleRNNCell"])
def test_cells_equal_keras(name: str) -> None:
    theirs, ours = (getattr(library, name)(UNITS, name="tested") for library in (keras.layers, layers))
    _same_weights(theirs, ours, (BATCH, FEATURES))
    states = [np.full((BATCH, UNITS), 0.1, np.float32)] * (2 if name == "LSTMCell" else 1)
    _assert_same(theirs(X[:, 0], states), ours(X[:, 0], states))
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))


@networks
@pytest.mark.parametrize("kind", ["", "Cell"])
def test_constructors_take_what_keras_takes(name: str, kind: str) -> None:
    import inspect

    theirs, ours = (
        inspect.signature(getattr(library, name + kind).__init__).parameters for library in (keras.layers, layers)
    )
    assert list(ours) == list(theirs)
    assert all(ours[key].default == theirs[key].default for key in theirs)


def test_first_weights_are_keras_kinds() -> None:
    layer = layers.LSTM(UNITS)
    layer.build(X.shape)
    bias = layer.cell.bias.numpy()
    np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], UNITS))
    recurrent = layer.cell.recurrent_kernel.numpy()
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(UNITS), atol=1e-5)


# Ours alone ----------------------------------------------------------------------------------------------------------


@networks
@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"use_bias": False}], ids=str)
def test_whole_sequences_equal_single_steps(name: str, options: dict[str, Any]) -> None:
    layer = getattr(layers, name)(UNITS, return_sequences=True, **options)
    whole = layer(X)
    states = layer.get_initial_state(BATCH)
    _, stepwise, _ = RNN.inner_loop(layer, ops.convert_to_tensor(X), states, None)
    np.testing.assert_allclose(whole.numpy(), stepwise.numpy(), rtol=1e-5, atol=1e-6)


class _Minimal(layers.Layer):
    """A cell as users write them: one state, given as a number."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state_size = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], self.state_size), name="kernel", initializer="ones")

    def call(self, inputs: Any, states: Any) -> Any:
        output = ops.matmul(inputs, self.kernel) + states[0]
        return output, [output]


def test_a_users_cell_adds_up() -> None:
    layer = layers.RNN(_Minimal(2), return_sequences=True)
    expected = np.cumsum(X.sum(-1), axis=1)[..., np.newaxis].repeat(2, axis=-1)
    np.testing.assert_allclose(layer(X).numpy(), expected, rtol=1e-5, atol=1e-5)
    assert layer(engine.Input((None, FEATURES))).shape == (None, None, 2)
    with pytest.raises(ValueError, match="needs `call` and `state_size`"):
        layers.RNN(layers.Dense(2))


@networks
@pytest.mark.parametrize("rate", ["dropout", "recurrent_dropout"])
def test_dropout_acts_while_training_alike_in_all_steps(name: str, rate: str) -> None:
    layer = getattr(layers, name)(64, return_sequences=True, seed=3, **{rate: 0.5})
    x = np.ones((2, 6, 64), np.float32)
    layer(x)
    np.testing.assert_array_equal(layer(x).numpy(), layer(x, training=False).numpy())
    drawn = layer(x, training=True).numpy()
    assert np.abs(drawn - layer(x).numpy()).max() > 1e-3
    assert np.abs(drawn - layer(x, training=True).numpy()).max() > 1e-3
    # The same mask in every step: dropout on equal inputs leaves them equal.
    cell = layer.cell
    mask = cell.get_dropout_mask(x[:, 0]) if rate == "dropout" else cell.get_recurrent_dropout_mask(x[:, 0])
    again = cell.get_dropout_mask(x[:, 0]) if rate == "dropout" else cell.get_recurrent_dropout_mask(x[:, 0])
    for first, second in zip(_flat(mask), _flat(again), strict=True):
        np.testing.assert_array_equal(first, second)
        assert set(np.unique(first)) == {0.0, 2.0}


def test_sequences_of_unknown_length_have_shapes_and_run_with_any() -> None:
    inputs = engine.Input((None, FEATURES))
    outputs = layers.LSTM(UNITS, return_sequences=True, return_state=True)(inputs)
    assert [output.shape for output in outputs] == [(None, None, UNITS), (None, UNITS), (None, UNITS)]
    model = engine.Model(inputs, layers.GRU(2, recurrent_dropout=0.1)(outputs[0]))
    for length in (2, 7):
        assert model.predict(np.zeros((1, length, FEATURES), np.float32), verbose=0).shape == (1, 2)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16", "float64"])
def test_policies_give_keras_dtypes(policy: str) -> None:
    layer = layers.LSTM(UNITS, dtype=policy, return_state=True)
    expected = keras.DTypePolicy(policy)
    assert {item.dtype.name for item in layer(X)} == {expected.compute_dtype}
    assert {weight.dtype.name for weight in layer.weights} == {expected.variable_dtype}


# Training ------------------------------------------------------------------------------------------------------------


def _characters(k: Any) -> Any:
    return k.Sequential(
        [
            k.Input((6,), dtype="int32"),
            k.layers.Embedding(9, 4),
            k.layers.LSTM(5, return_sequences=True),
            k.layers.GRU(4),
            k.layers.Dense(9, activation="softmax"),
        ]
    )


def test_a_step_of_training_equals_keras() -> None:
    theirs, ours = _characters(keras), _characters(engine)
    _same_weights(theirs, ours)
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 9, (8, 6)).astype(np.int32), rng.integers(0, 9, 8)
    for library, model in ((keras, theirs), (engine, ours)):
        model.compile(optimizer=library.optimizers.SGD(1.0), loss="sparse_categorical_crossentropy")
        model.train_on_batch(x, y)
    for expected, received in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_a_plan_of_a_session_equals_the_layer() -> None:
    model = _characters(engine)
    x = np.random.default_rng(1).integers(0, 9, (4, 6)).astype(np.int32)
    session = engine.InferenceSession(model, batch_sizes=(1, 4))
    np.testing.assert_allclose(session.run(x), model(x).numpy(), rtol=1e-5, atol=1e-6)
