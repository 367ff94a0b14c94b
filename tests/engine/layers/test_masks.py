"""Masks: who makes them, who passes them on, and what they keep from counting."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import layers, ops
from engine.tensor import mask_of
from tests.engine.keras_reference import as_json, keras

X = np.array([[1, 2, 0, 3, 0], [4, 0, 0, 0, 0], [0, 0, 1, 2, 3]], np.int32)


def test_embedding_looks_up_vectors_and_masks_zeros() -> None:
    layer = layers.Embedding(5, 3, mask_zero=True)
    y = layer(X)
    np.testing.assert_array_equal(y.numpy(), layer.embeddings.numpy()[X])
    np.testing.assert_array_equal(mask_of(y).numpy(), X != 0)
    assert mask_of(layers.Embedding(5, 3)(X)) is None
    np.testing.assert_array_equal(layers.Embedding(2, 2, weights=np.eye(2))(X % 2).numpy(), np.eye(2)[X % 2])
    for wrong in (0, 2.5, True):
        with pytest.raises(ValueError, match="`input_dim` must be a positive integer"):
            layers.Embedding(wrong, 3)


@pytest.mark.parametrize("options", [{}, {"mask_zero": True, "embeddings_constraint": "non_neg"}], ids=str)
def test_embeddings_config_is_keras(options: dict[str, Any]) -> None:
    theirs, ours = (library.Embedding(5, 3, name="e", **options) for library in (keras.layers, layers))
    for layer in (theirs, ours):
        layer.build((2, 4))
    expected = as_json(keras.saving.serialize_keras_object(theirs))
    assert as_json(engine.saving.serialize_keras_object(ours)) == expected
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]


def test_masking_marks_steps_and_zeroes_them() -> None:
    x = np.array([[[7, 7], [7, 1], [2, 3]]], np.float32)
    y = layers.Masking(7.0)(x)
    np.testing.assert_array_equal(mask_of(y).numpy(), [[False, True, True]])
    np.testing.assert_array_equal(y.numpy(), [[[0, 0], [7, 1], [2, 3]]])


def test_masks_pass_through_layers_that_support_them() -> None:
    y = layers.Embedding(5, 4, mask_zero=True)(X)
    for layer in (layers.Dense(2), layers.Dropout(0.5), layers.Activation("tanh"), layers.LayerNormalization()):
        np.testing.assert_array_equal(mask_of(layer(y)).numpy(), X != 0)
    sequences, state = layers.GRU(2, return_sequences=True, return_state=True)(y)
    np.testing.assert_array_equal(mask_of(sequences).numpy(), X != 0)
    assert mask_of(state) is None
    assert mask_of(layers.GlobalAveragePooling1D()(y)) is None


def test_merged_masks_are_keras() -> None:
    kept = X != 0
    y = layers.Embedding(5, 4, mask_zero=True)(X)
    z = layers.Embedding(5, 4, mask_zero=True)(X[:, ::-1].copy())
    plain = layers.Embedding(5, 4)(X)
    np.testing.assert_array_equal(mask_of(layers.Add()([y, z])).numpy(), kept | kept[:, ::-1])
    assert mask_of(layers.Multiply()([y, plain])) is None
    joined = mask_of(layers.Concatenate(axis=1)([y, plain])).numpy()
    np.testing.assert_array_equal(joined, np.concatenate([kept, np.ones_like(kept)], axis=1))


def test_a_layer_that_drops_a_mask_says_so() -> None:
    y = layers.Embedding(5, 4, mask_zero=True)(X)
    with pytest.warns(UserWarning, match=r"Layer 'flat' of class Flatten got inputs with a mask"):
        layers.Flatten(name="flat")(y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers.Flatten()(layers.Embedding(5, 4)(X))


def test_a_nest_of_no_masks_is_no_mask() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a, b = engine.Input((3,)), engine.Input((3,))
        inner = engine.Model([a, b], layers.Add()([a, b]))
        inner([np.ones((2, 3)), np.ones((2, 3))], mask=[None, None])  # as Keras's files say it of nested models


def test_a_layer_of_the_users_own_gets_and_changes_masks() -> None:
    class Shifted(layers.Layer):
        def call(self, inputs: Any, mask: Any = None) -> Any:
            return inputs * ops.cast(ops.expand_dims(mask, -1), inputs.dtype)

        def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
            return ops.logical_not(previous_mask)

    y = layers.Embedding(5, 4, mask_zero=True)(X)
    z = Shifted()(y)
    np.testing.assert_array_equal(z.numpy(), y.numpy() * (X != 0)[..., np.newaxis])
    np.testing.assert_array_equal(mask_of(z).numpy(), X == 0)


def test_a_mask_given_to_a_model_reaches_its_layers() -> None:
    inputs = engine.Input((5, 2))
    model = engine.Model(inputs, layers.GlobalAveragePooling1D()(layers.Dropout(0.5)(inputs)))
    x = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
    expected = (x * (X != 0)[..., np.newaxis]).sum(1) / (X != 0).sum(1)[:, np.newaxis]
    np.testing.assert_allclose(model(x, mask=X != 0).numpy(), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model(x).numpy(), x.mean(1), rtol=1e-5, atol=1e-6)


# Models --------------------------------------------------------------------------------------------------------------


def tagger(k: Any) -> Any:
    """A functional model in which a mask takes every kind of way."""
    layer = k.layers
    i = k.Input((5,), dtype="int32", name="i")
    e = layer.Embedding(5, 3, mask_zero=True, name="e")(i)
    first = layer.Dropout(0.0, name="dropout")(layer.LSTM(4, return_sequences=True, name="first")(e))
    second = layer.SimpleRNN(4, return_sequences=True, go_backwards=True, name="second")(e)
    both = layer.Add(name="both")([first, second])
    _, hidden, cell = layer.LSTM(3, return_state=True, name="third")(both)
    fourth = layer.LSTM(3, return_sequences=True, name="fourth")(both, initial_state=[hidden, cell])
    return k.Model(i, layer.Dense(4, activation="softmax", name="o")(fourth), name="tagger")


def small(k: Any) -> Any:
    """A label for each step, padding left out."""
    layer = k.layers
    return k.Sequential(
        [
            k.Input((5,), dtype="int32"),
            layer.Embedding(5, 3, mask_zero=True),
            layer.GRU(4, return_sequences=True),
            layer.Dense(4, activation="softmax"),
        ]
    )


def _pair(make: Any = tagger) -> tuple[Any, Any]:
    """The model in Keras and in ours, with the same weights."""
    theirs, ours = make(keras), make(engine)
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.5, weight.shape).astype(np.float32) for weight in theirs.weights]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


def test_a_model_with_masks_trains_as_in_keras() -> None:
    theirs, ours = _pair(small)
    y = np.random.default_rng(1).integers(0, 4, X.shape)
    losses = []
    for library, model in ((keras, theirs), (engine, ours)):
        model.compile(optimizer=library.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
        losses.append(float(np.asarray(model.train_on_batch(X, y))))
    # Steps that are masked count neither in the sum nor in the number.
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    for expected, received in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def test_weights_of_samples_and_masks_are_multiplied() -> None:
    y_pred = layers.Masking(-1.0)(np.array([[[-1.0], [2.0], [3.0], [-1.0]], [[1.0], [-1.0], [-1.0], [-1.0]]]))
    y_true = np.zeros((2, 4, 1), np.float32)
    loss = engine.losses.MeanSquaredError()
    assert float(loss(y_true, y_pred)) == pytest.approx((4 + 9 + 1) / 3)
    assert float(loss(y_true, y_pred, np.array([0.0, 6.0]))) == pytest.approx(6 / 3)
    metric = engine.metrics.MeanSquaredError()
    metric.update_state(y_true, y_pred)
    per_sample = np.array([13 / 4, 1 / 4]), np.array([2 / 4, 1 / 4])
    assert float(metric.result()) == pytest.approx(per_sample[0].sum() / per_sample[1].sum())


@pytest.mark.parametrize("writer", ["ours", "keras"])
def test_a_model_with_masks_travels(writer: str, tmp_path: Path) -> None:
    theirs, ours = _pair()
    model, reader = (ours, keras) if writer == "ours" else (theirs, engine)
    model.save(tmp_path / "m.keras")
    opened = reader.models.load_model(tmp_path / "m.keras")
    expected = model(X)
    np.testing.assert_allclose(np.asarray(opened(X)), np.asarray(expected), atol=2e-6)
    if writer == "ours":
        np.testing.assert_allclose(ours.predict(X, verbose=0), expected.numpy(), atol=2e-6)
    if writer == "keras":
        dropout = opened.get_layer("dropout")
        dropout.rate = 0.5
        # The file says `training: False` of the call, and the model's own `training` outweighs it.
        assert np.abs(opened(X, training=True).numpy() - opened(X, training=False).numpy()).max() > 1e-4


def test_the_config_of_a_model_with_masks_is_keras() -> None:
    for library in (keras, engine):
        library.utils.clear_session()
    theirs, ours = tagger(keras), tagger(engine)
    assert as_json(ours.get_config()) == as_json(theirs.get_config())


@pytest.mark.parametrize("number", [5, -6])
def test_numbers_without_a_vector_are_named(number: int) -> None:
    layer = layers.Embedding(5, 3, name="words")
    said = rf"Layer 'words': expected numbers from 0 to 4\. Received: {number}"
    with pytest.raises(IndexError, match=said):
        layer(np.array([[1, number]]))
    model = engine.Sequential([layers.Input((2,), dtype="int32"), layer])
    with pytest.raises(IndexError, match=said):  # in a plan
        model.predict(np.array([[1, number]]), verbose=0)
