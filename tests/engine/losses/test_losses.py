"""Losses give Keras's values and configs, and refuse what does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import losses
from engine.registry import deserialize, serialize
from tests.engine.keras_reference import as_json, keras

_rng = np.random.default_rng(0)
NUMBERS = _rng.random((6, 4)).astype(np.float32)
PREDICTIONS = (_rng.random((6, 4)) * 0.9 + 0.05).astype(np.float32)
BINARY = (NUMBERS > 0.5).astype(np.float32)
CLASSES = _rng.integers(0, 4, 6)
ONE_HOT = np.eye(4, dtype=np.float32)[CLASSES]
WEIGHTS = _rng.random(6).astype(np.float32)

CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("MeanSquaredError", {}, NUMBERS),
    ("MeanAbsoluteError", {}, NUMBERS),
    ("MeanAbsolutePercentageError", {}, NUMBERS),
    ("MeanSquaredLogarithmicError", {}, NUMBERS),
    ("Huber", {"delta": 0.3}, NUMBERS),
    ("LogCosh", {}, NUMBERS),
    ("KLDivergence", {}, NUMBERS),
    ("Poisson", {}, NUMBERS),
    ("CosineSimilarity", {}, NUMBERS),
    ("BinaryCrossentropy", {}, BINARY),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, BINARY),
    ("CategoricalCrossentropy", {}, ONE_HOT),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ONE_HOT),
    ("SparseCategoricalCrossentropy", {}, CLASSES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, CLASSES[:, None]),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, CLASSES),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True}, BINARY),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT),
    ("Hinge", {}, BINARY),
    ("SquaredHinge", {}, BINARY * 2 - 1),
    ("CategoricalHinge", {}, ONE_HOT),
    ("Dice", {"axis": (1,)}, BINARY),
    ("Dice", {}, BINARY),
    ("Tversky", {"alpha": 0.3, "beta": 0.6, "axis": -1}, BINARY),
    ("Circle", {"gamma": 3.0, "margin": 0.3}, CLASSES),
    ("Circle", {"remove_diagonal": False}, CLASSES[:, None]),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.3}, CLASSES),
]


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"])
@pytest.mark.parametrize(("name", "options", "truth"), CASES)
def test_values_equal_keras(name: str, options: dict[str, Any], truth: Any, reduction: str) -> None:
    ours = getattr(losses, name)(reduction=reduction, **options)
    theirs = getattr(keras.losses, name)(reduction=reduction, **options)
    for weights in (None, WEIGHTS):
        expected = np.asarray(theirs(truth, PREDICTIONS, weights))
        np.testing.assert_allclose(ours(truth, PREDICTIONS, weights), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "options", "truth"), CASES)
def test_configs_equal_keras_and_build_the_same_loss(name: str, options: dict[str, Any], truth: Any) -> None:
    ours = getattr(losses, name)(**options)
    config = as_json(serialize(ours))
    assert config == as_json(keras.losses.serialize(getattr(keras.losses, name)(**options)))
    if name not in ("Huber",):  # whose delta Keras does not write either
        again = deserialize(config)
        np.testing.assert_allclose(again(truth, PREDICTIONS), ours(truth, PREDICTIONS))


@pytest.mark.parametrize("name", ["mse", "MSE", "mean_squared_error", "MeanSquaredError"])
def test_a_loss_is_found_by_any_of_its_names(name: str) -> None:
    found = losses.get(name)
    values = np.asarray(found(NUMBERS, PREDICTIONS))
    np.testing.assert_allclose(values.mean(), np.square(NUMBERS - PREDICTIONS).mean(), rtol=1e-6)


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(ValueError, match="no_such_loss"):
        losses.get("no_such_loss")


def test_class_numbers_given_to_categorical_crossentropy_get_a_hint() -> None:
    with pytest.raises(ValueError, match=r"\(6,\).*\(6, 4\).*sparse_categorical_crossentropy"):
        losses.CategoricalCrossentropy()(CLASSES, PREDICTIONS)


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(ValueError, match="median"):
        losses.MeanSquaredError(reduction="median")


def test_large_class_numbers_survive_half_precision() -> None:
    predictions = np.full((1, 4000), 1e-3, np.float32)
    predictions[0, 2049] = 0.9
    loss = losses.SparseCategoricalCrossentropy(dtype="float16", reduction="sum")
    assert float(loss(np.array([2049]), predictions)) < float(loss(np.array([2048]), predictions))
