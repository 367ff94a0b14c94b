"""Attention layers against Keras: outputs, scores, masks, configs, files, plans, gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import layers
from engine.registry import deserialize, serialize
from tests.engine.gradient_check import gradients, numerical_gradients
from tests.engine.keras_reference import as_json, keras

RNG = np.random.default_rng(0)
QUERY = RNG.normal(size=(2, 3, 4)).astype(np.float32)
VALUE = RNG.normal(size=(2, 5, 6)).astype(np.float32)
KEY = RNG.normal(size=(2, 5, 7)).astype(np.float32)
ATTENTION_MASK = np.array([[[1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]] * 2, bool)
NUMBERS = np.array([[3, 1, 2, 0, 0], [1, 4, 0, 0, 0]])

HEADS = {
    "plain": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
    "all lengths differ": (
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 3, "value_dim": 5, "output_shape": 7, "dropout": 0.1},
    ),
    "gate and no bias": ("MultiHeadAttention", {"num_heads": 3, "key_dim": 2, "use_gate": True, "use_bias": False}),
    "sliding window": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "sliding_window": 2}),
    "grouped": ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}),
    "grouped with gate": (
        "GroupQueryAttention",
        {"head_dim": 3, "num_query_heads": 2, "num_key_value_heads": 1, "use_gate": True, "sliding_window": 3},
    ),
}
headed = pytest.mark.parametrize("case", HEADS.values(), ids=HEADS)


def _pair(case: tuple[str, dict[str, Any]], *shapes: tuple[int, ...]) -> tuple[Any, Any]:
    """Keras's layer and ours, built, with the same random weights."""
    name, options = case
    theirs = getattr(keras.layers, name)(**options, name="tested")
    ours = getattr(layers, name)(**options, name="tested")
    for layer in (theirs, ours):
        layer.build(*shapes)
    rng = np.random.default_rng(5)
    weights = [rng.normal(0, 0.7, weight.shape).astype(np.float32) for weight in theirs.weights]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


def _inputs(case: tuple[str, dict[str, Any]]) -> list[Any]:
    return [QUERY, VALUE, KEY] if case[0] == "MultiHeadAttention" else [QUERY, VALUE[..., :4], VALUE[..., :4]]


@headed
def test_headed_attention_gives_what_keras_gives(case: tuple[str, dict[str, Any]]) -> None:
    inputs = _inputs(case)
    theirs, ours = _pair(case, *(array.shape for array in inputs))
    causal: dict[str, Any] = {"use_causal_mask": True, "return_attention_scores": True}
    for options in ({}, {**causal, "attention_mask": ATTENTION_MASK}) if len(case[1]) < 4 else (causal,):
        expected, received = theirs(*inputs, **options), ours(*inputs, **options)
        pairs = zip(expected, received, strict=True) if options else [(expected, received)]
        for theirs_part, ours_part in pairs:
            np.testing.assert_allclose(ours_part, np.asarray(theirs_part), rtol=1e-5, atol=2e-6)


@headed
def test_headed_attention_is_written_as_keras_writes_it(case: tuple[str, dict[str, Any]]) -> None:
    theirs, ours = _pair(case, *(array.shape for array in _inputs(case)))
    config = as_json(keras.saving.serialize_keras_object(theirs))
    assert as_json(serialize(ours)) == config
    assert [(v.path, v.shape) for v in ours.weights] == [(v.path, v.shape) for v in theirs.weights]
    again = deserialize(config)
    assert again.built
    assert as_json(serialize(again)) == config


@pytest.mark.parametrize("axes", [(1, 2), (-1,)], ids=str)
def test_attention_axes_choose_along_what_queries_attend(axes: Any) -> None:
    query, value = (RNG.normal(size=shape).astype(np.float32) for shape in ((2, 3, 4, 5), (2, 3, 4, 6)))
    case = ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "attention_axes": axes})
    if axes == (-1,):
        case[1]["output_shape"] = (3, 2)
    theirs, ours = _pair(case, query.shape, value.shape)
    np.testing.assert_allclose(ours(query, value), np.asarray(theirs(query, value)), rtol=1e-5, atol=2e-6)
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))


def _masked_model(library: Any) -> Any:
    """Padded numbers, embedded with a mask, attend to one another."""
    inputs = library.Input((None,), dtype="int32", name="numbers")
    x = library.layers.Embedding(6, 4, mask_zero=True, name="embedded")(inputs)
    y = library.layers.MultiHeadAttention(2, 3, name="attention")(x, x, use_causal_mask=True)
    y = library.layers.GlobalAveragePooling1D(name="mean")(y)
    return library.Model(inputs, y)


@pytest.mark.parametrize("writer", ["keras", "engine"])
def test_a_model_with_attention_goes_to_the_other_library_and_gives_the_same(tmp_path: Path, writer: str) -> None:
    libraries = {"keras": keras, "engine": engine}
    reader = libraries[{"keras": "engine", "engine": "keras"}[writer]]
    library = libraries[writer]
    query, value = library.Input((3, 4)), library.Input((5, 4))
    x = library.layers.MultiHeadAttention(2, 3, use_gate=True)(query, value)
    x = library.layers.GroupQueryAttention(3, 4, 2, use_gate=True)(x, value)
    x = library.layers.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d")(x)
    x = library.layers.Attention(use_scale=True)([x, value])
    x = library.layers.AdditiveAttention()([x, value])
    x = library.layers.GroupNormalization(2)(library.layers.RMSNormalization()(x))
    model = library.Model([query, value], x)
    model.save(tmp_path / "model.keras")
    again = reader.saving.load_model(tmp_path / "model.keras")
    inputs = [QUERY, VALUE[..., :4]]
    np.testing.assert_allclose(again.predict(inputs, verbose=0), model.predict(inputs, verbose=0), rtol=1e-4, atol=1e-5)


def test_masks_of_inputs_reach_attention_and_what_follows_it_in_a_file_of_either_library(tmp_path: Path) -> None:
    for writer, reader in ((keras, engine), (engine, keras)):
        model = _masked_model(writer)
        model.save(tmp_path / "model.keras")
        again = reader.saving.load_model(tmp_path / "model.keras")
        expected = model.predict(NUMBERS, verbose=0)
        np.testing.assert_allclose(again.predict(NUMBERS, verbose=0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["Attention", "AdditiveAttention"])
def test_attention_heeds_masks_of_queries_and_values_as_keras(kind: str) -> None:
    theirs, ours = getattr(keras.layers, kind)(), getattr(layers, kind)()
    inputs = [QUERY, VALUE[..., :4]]
    masks = [np.array([[1, 1, 0], [0, 1, 1]], bool), np.array([[1, 0, 1, 0, 1], [0, 1, 1, 1, 1]], bool)]
    theirs(inputs), ours(inputs)
    ours.set_weights(theirs.get_weights())
    for options in ({}, {"use_causal_mask": True}):
        expected = theirs(inputs, mask=masks, return_attention_scores=True, **options)
        received = ours(inputs, mask=masks, return_attention_scores=True, **options)
        for their_part, our_part in zip(expected, received, strict=True):
            np.testing.assert_allclose(our_part, np.asarray(their_part), rtol=1e-5, atol=2e-6)


def test_gradients_of_attention_equal_numerical_differences() -> None:
    layer = layers.MultiHeadAttention(2, 2, use_gate=True, dtype="float64")
    query, value = QUERY[:1, :, :2].astype(np.float64), VALUE[:1, :3, :3].astype(np.float64)
    layer.build(query.shape, value.shape)

    def call(a: Any, b: Any, kernel: Any) -> Any:
        object.__setattr__(layer.query_dense, "kernel", kernel)
        return layer(a, b, use_causal_mask=True)

    operands = (query, value, layer.query_dense.kernel.numpy())
    for received, expected in zip(gradients(call, *operands), numerical_gradients(call, *operands), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-7)


def test_attention_learns_in_a_plan_and_drops_weights_only_while_it_trains() -> None:
    inputs = layers.Input((4, 3))
    x = layers.MultiHeadAttention(2, 4, dropout=0.2, seed=1)(inputs, inputs)
    model = engine.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))
    model.compile(engine.optimizers.Adam(0.01), "mse")
    data = RNG.normal(size=(64, 4, 3)).astype(np.float32)
    target = data.max(axis=(1, 2))[:, None]
    history = model.fit(data, target, epochs=12, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    np.testing.assert_array_equal(model.predict(data, verbose=0), model.predict(data, verbose=0))


def test_wrong_options_are_named() -> None:
    with pytest.raises(ValueError, match=r"`num_heads` must be a positive integer.*Received: 0"):
        layers.MultiHeadAttention(0, 2)
    with pytest.raises(ValueError, match="multiple of `num_key_value_heads`"):
        layers.GroupQueryAttention(2, 3, 2)
    with pytest.raises(ValueError, match="values and keys must have the same shape but for the last axis"):
        layers.MultiHeadAttention(1, 2)(QUERY, VALUE, KEY[:, :4])
    with pytest.raises(ValueError, match=r"list \[query, value\]"):
        layers.Attention()(QUERY)
    with pytest.raises(ValueError, match="says nothing about 'c'"):
        layers.EinsumDense("ab,bz->ac", 3)(np.zeros((2, 3), np.float32))


def test_a_reversible_embedding_goes_back_as_keras(tmp_path: Path) -> None:
    for options in ({"mask_zero": True}, {"tie_weights": False, "logit_soft_cap": 2.0, "reverse_dtype": "float32"}):
        theirs, ours = (
            library.layers.ReversibleEmbedding(6, 4, **options, name="tested") for library in (keras, engine)
        )
        np.asarray(theirs(NUMBERS)), ours(NUMBERS)
        ours.set_weights(theirs.get_weights())
        np.testing.assert_allclose(ours(NUMBERS), np.asarray(theirs(NUMBERS)), rtol=1e-6)
        expected = np.asarray(theirs(QUERY, reverse=True))
        np.testing.assert_allclose(ours(QUERY, reverse=True), expected, rtol=1e-5, atol=1e-6)
        assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))


def test_einsum_dense_counts_fans_along_the_axes_of_its_equation() -> None:
    layer = layers.EinsumDense("abc,cde->abde", (None, 20, 30))
    layer.build((None, 3, 50))
    limit = np.sqrt(6 / (50 + 20 * 30))
    assert 0.95 * limit < np.abs(layer.kernel.numpy()).max() <= limit
