"""Layers that learn from data before training: statistics, bins, vocabularies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import Input, Model, layers
from engine.registry import deserialize, serialize
from engine.utils import PyDataset
from tests.engine.keras_reference import keras

ROWS = np.random.default_rng(1).normal(2.0, 3.0, (50, 3, 2)).astype(np.float32)


class _Batches(PyDataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return ROWS[index * 13 : (index + 1) * 13], None


# Normalization -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axis", "invert"), [(-1, False), (None, False), ((1, 2), False), (1, True)])
def test_statistics_of_an_array_equal_keras(axis: Any, invert: bool) -> None:
    theirs, ours = keras.layers.Normalization(axis, invert=invert), layers.Normalization(axis, invert=invert)
    theirs.adapt(ROWS)
    ours.adapt(ROWS)
    for expected, received in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)
    assert [v.path.split("/")[-1] for v in ours.weights] == ["mean", "variance", "count"]
    np.testing.assert_allclose(ours(ROWS).numpy(), np.asarray(theirs(ROWS)), rtol=1e-5, atol=1e-5)


def test_statistics_of_batches_are_those_of_the_whole() -> None:
    whole, ragged, dataset = (layers.Normalization() for _ in range(3))
    whole.adapt(ROWS)
    ragged.adapt([ROWS[:1], ROWS[1:20], (ROWS[20:], None)])
    dataset.adapt(_Batches())
    np.testing.assert_allclose(whole(ROWS).numpy().mean((0, 1)), 0, atol=1e-5)
    for layer in (ragged, dataset):
        np.testing.assert_allclose(layer.mean.numpy(), whole.mean.numpy(), rtol=1e-6)
        np.testing.assert_allclose(layer.variance.numpy(), whole.variance.numpy(), rtol=1e-6)


def test_statistics_of_large_numbers_keep_their_digits() -> None:
    layer = layers.Normalization(axis=None)
    layer.adapt([np.array([1e8, 1e8 + 16], np.float32), np.array([1e8 + 32, 1e8 + 48], np.float32)])
    assert float(layer.variance.numpy().ravel()[0]) == 320.0


def test_integers_are_normalised_as_numbers() -> None:
    layer = layers.Normalization(mean=2.0, variance=4.0, axis=None)
    np.testing.assert_array_equal(layer(np.array([2, 4], np.uint8)).numpy(), [0.0, 1.0])


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: layers.Normalization(mean=1.0), "together"),
        (lambda: layers.Normalization(mean=[1.0, 2.0], variance=1.0), "one shape"),
        (lambda: layers.Normalization(mean=1.0, variance=1.0).adapt(ROWS), "cannot adapt"),
        (lambda: layers.Normalization().adapt([]), "no data"),
        (lambda: layers.Normalization().adapt([ROWS, ROWS[..., :1]]), r"received shape \(50, 3, 1\)"),
        (lambda: layers.Normalization(3)(ROWS), r"\[-3, 3\)"),
        (lambda: layers.Normalization(1)(Input((None, 2))), "fixed lengths"),
        (lambda: layers.Normalization(mean=[1.0] * 3, variance=[1.0] * 3)(ROWS), "do not broadcast"),
    ],
)
def test_normalization_refuses_what_does_not_fit(use: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        use()


# Discretization ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [40, 3000])
def test_bins_found_in_data_are_those_of_keras(count: int) -> None:
    data = np.random.default_rng(2).normal(size=(3, count)).astype(np.float32)
    theirs, ours = keras.layers.Discretization(num_bins=5), layers.Discretization(num_bins=5)
    for batch in data:  # Keras's adapt() asks for TensorFlow
        theirs.update_state(batch)
    theirs.finalize_state()
    ours.adapt(list(data))
    np.testing.assert_allclose(ours.bin_boundaries, theirs.bin_boundaries, rtol=1e-6)
    again = deserialize(serialize(ours))
    np.testing.assert_array_equal(again(data).numpy(), np.asarray(theirs(data)))


def test_bins_hold_equal_shares() -> None:
    layer = layers.Discretization(num_bins=4)
    layer.adapt(np.arange(1000.0))
    np.testing.assert_allclose(np.bincount(layer(np.arange(1000.0)).numpy()), 250, atol=20)
    with pytest.raises(ValueError, match="no bins yet"):
        layers.Discretization(num_bins=4)(np.arange(3.0))


# Vocabularies: the expected values are those of Keras 3.15.1 on TensorFlow -------------------------------------------

NUMBERS = np.array([[10, 20, 20], [20, 30, 7]])
QUESTIONS = np.array([[10, 20, 99], [20, 20, 0], [98, 7, 30]])


def _weighted() -> Any:
    layer = layers.IntegerLookup(output_mode="tf_idf", name="weighted")
    layer.adapt(NUMBERS)
    return layer


def _placed() -> Any:
    layer = layers.IntegerLookup(mask_token=0, num_oov_indices=2, name="placed")
    layer.adapt(NUMBERS)
    return layer


EXPECTED_PLACES = [[5, 3, 2], [3, 3, 0], [1, 6, 4]]
EXPECTED_WEIGHTS = [
    [0.64756680, 0.51082563, 0.0, 0.69314718, 0.0],
    [0.64756680, 1.02165126, 0.0, 0.0, 0.0],
    [0.64756680, 0.0, 0.69314718, 0.0, 0.69314718],
]


def test_integers_are_found_in_a_vocabulary_also_inside_of_a_saved_model(tmp_path: Path) -> None:
    inputs = Input((3,), dtype="int64")
    weighted, placed = _weighted(), _placed()
    assert placed.get_vocabulary() == [0, -1, -1, 20, 30, 10, 7]
    model = Model(inputs, [weighted(inputs), placed(inputs)])
    assert [(output.shape, output.dtype.name) for output in model.outputs] == [
        ((None, 5), "float32"),
        ((None, 3), "int64"),
    ]
    model.save(tmp_path / "model.keras")
    from engine.models import load_model

    for each in (model, load_model(tmp_path / "model.keras")):
        weights, places = each.predict(QUESTIONS, verbose=0)
        np.testing.assert_allclose(weights, EXPECTED_WEIGHTS, rtol=1e-6)
        assert places.tolist() == EXPECTED_PLACES


def test_places_are_turned_back_into_integers() -> None:
    layer = layers.IntegerLookup(vocabulary=[5, 6], mask_token=0, invert=True)
    assert layer(np.array([0, 1, 2, 3, 9])).numpy().tolist() == [0, -1, 5, 6, -1]


def test_strings_are_found_in_a_vocabulary_and_back() -> None:
    layer = layers.StringLookup(vocabulary=["a", "b"], mask_token="")
    assert layer(["a", "c", "", b"b"]).numpy().tolist() == [2, 1, 0, 3]
    assert layer.get_config()["vocabulary"] == ["a", "b"]
    back = layers.StringLookup(vocabulary=["a", "b"], mask_token="", invert=True)
    assert back(np.array([[2, 1], [0, 3]])).tolist() == [["a", "[UNK]"], ["", "b"]]
    counts = layers.StringLookup(vocabulary=["a", "b"], output_mode="count")
    assert counts(np.array([["b", "b"], ["a", "z"]])).numpy().tolist() == [[0, 0, 2], [1, 1, 0]]


TEXTS = ["the cat sat", "the dog, the end!"]


def test_texts_become_the_places_of_their_words() -> None:
    layer = layers.TextVectorization(output_sequence_length=5)
    layer.adapt(TEXTS)
    assert layer.get_vocabulary() == ["", "[UNK]", "the", "sat", "end", "dog", "cat"]
    assert layer(["The cat!! flew over the dog and more", ""]).numpy().tolist() == [[2, 6, 1, 1, 2], [0] * 5]
    again = deserialize(serialize(layer))
    again.set_vocabulary(layer.get_vocabulary())
    assert again([["a dog"]]).numpy().tolist() == [[1, 5, 0, 0, 0]]


def test_texts_become_weights_of_their_words_and_pairs() -> None:
    layer = layers.TextVectorization(output_mode="tf_idf", ngrams=2)
    layer.adapt(TEXTS)
    words = "[UNK],the,the end,the dog,the cat,sat,end,dog the,dog,cat sat,cat"
    assert layer.get_vocabulary() == words.split(",")
    expected = [[3.3745751, 1.0216513, 0, 0.6931472, 0.6931472, 0, 0, 0, 0.6931472, 0, 0.6931472]]
    np.testing.assert_allclose(layer(["The cat!! flew over the dog"]).numpy(), expected, rtol=1e-6)


def test_vocabularies_are_kept_in_files_as_keras_keeps_them(tmp_path: Path) -> None:
    _placed().save_assets(str(tmp_path))
    assert (tmp_path / "vocabulary.txt").read_bytes() == b"0\n-1\n-1\n20\n30\n10\n7"
    layer = layers.IntegerLookup(mask_token=0, num_oov_indices=2)
    layer.load_assets(str(tmp_path))
    assert layer(QUESTIONS).numpy().tolist() == EXPECTED_PLACES
    (tmp_path / "vocabulary.txt").write_text("0\n-1\n-1\ntwenty")
    with pytest.raises(ValueError, match="twenty"):
        layer.load_assets(str(tmp_path))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: layers.IntegerLookup(vocabulary=[1, 1]), "repeated"),
        (lambda: layers.IntegerLookup(vocabulary=[3, 0], mask_token=0), "reserved"),
        (
            lambda: layers.IntegerLookup(vocabulary=[1, 2], num_oov_indices=0)(np.array([1, 5])),
            r"unknown tokens: \[5\]",
        ),
        (lambda: layers.IntegerLookup(vocabulary="/etc/passwd"), "files outside"),
        (lambda: layers.IntegerLookup(vocabulary=[1, 2, 3], max_tokens=3), "`max_tokens` is 3"),
        (lambda: layers.IntegerLookup(output_mode="count")(np.array([1])), "no vocabulary yet"),
        (lambda: layers.IntegerLookup(oov_method="farmhash"), "farmhash"),
        (lambda: layers.StringLookup(num_oov_indices=2), "hash"),
        (lambda: layers.StringLookup(vocabulary=["a"])(Input((1,))), "cannot be part of a model"),
        (lambda: layers.TextVectorization()(Input((1,))), "cannot be part of a model"),
        (lambda: layers.TextVectorization(ragged=True), "ragged"),
        (lambda: layers.TextVectorization(split="lines"), "lines"),
        (lambda: Input((1,), dtype="string"), "model that takes texts"),
    ],
)
def test_lookups_refuse_what_they_cannot_do(use: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        use()
