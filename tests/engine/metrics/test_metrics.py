"""Metrics add batches up to Keras's values, and start again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import Sequential, layers, losses, metrics
from engine.registry import deserialize, serialize
from tests.engine.keras_reference import as_json, keras
from tests.engine.losses.test_losses import BINARY, CLASSES, NUMBERS, ONE_HOT, PREDICTIONS, WEIGHTS

CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("Accuracy", {}, np.round(NUMBERS)),
    ("BinaryAccuracy", {"threshold": 0.3}, BINARY),
    ("CategoricalAccuracy", {}, ONE_HOT),
    ("SparseCategoricalAccuracy", {}, CLASSES),
    ("SparseCategoricalAccuracy", {}, CLASSES[:, None]),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, CLASSES),
    ("MeanSquaredError", {}, NUMBERS),
    ("MeanAbsoluteError", {}, NUMBERS),
    ("RootMeanSquaredError", {}, NUMBERS),
    ("BinaryCrossentropy", {}, BINARY),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, ONE_HOT),
    ("SparseCategoricalCrossentropy", {}, CLASSES),
    ("CosineSimilarity", {}, NUMBERS),
    ("LogCoshError", {}, NUMBERS),
    ("Hinge", {}, BINARY),
    ("KLDivergence", {}, NUMBERS),
    ("Poisson", {}, NUMBERS),
    ("PearsonCorrelation", {}, NUMBERS),
    ("ConcordanceCorrelation", {}, NUMBERS),
    ("R2Score", {}, NUMBERS),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 2}, NUMBERS),
    ("R2Score", {"class_aggregation": None}, NUMBERS),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [0, 2], "dtype": "float32"}, ONE_HOT),
    ("OneHotMeanIoU", {"num_classes": 4, "ignore_class": 1, "dtype": "float32"}, ONE_HOT),
    ("MeanIoU", {"num_classes": 4, "sparse_y_pred": False, "dtype": "float32"}, CLASSES),
]


@pytest.mark.parametrize(("name", "options", "truth"), CASES)
def test_running_results_and_state_equal_keras(name: str, options: dict[str, Any], truth: Any) -> None:
    ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
    for weights in (None, WEIGHTS):
        ours.update_state(truth, PREDICTIONS, weights)
        theirs.update_state(truth, PREDICTIONS, weights)
        np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), rtol=1e-5)
    for mine, other in zip(ours.variables, theirs.variables, strict=True):
        assert mine.name == other.name
        np.testing.assert_allclose(mine.numpy(), np.asarray(other), rtol=1e-5)


@pytest.mark.parametrize(("name", "options", "truth"), CASES)
def test_configs_equal_keras(name: str, options: dict[str, Any], truth: Any) -> None:
    config = as_json(serialize(getattr(metrics, name)(**options)))
    assert config == as_json(keras.metrics.serialize(getattr(keras.metrics, name)(**options)))
    assert type(deserialize(config)) is getattr(metrics, name)


@pytest.mark.parametrize(
    ("values", "weights"),
    [((4, 3), (4,)), ((4, 3), (4, 3)), ((4, 3), None), ((4,), None), ((), None), ((4, 3, 2), (4, 3)), ((4, 3), (4, 1))],
)
def test_the_mean_counts_by_first_axis_as_keras_does(values: Any, weights: Any) -> None:
    rng = np.random.default_rng(1)
    array = rng.random(values).astype(np.float32)
    given = None if weights is None else rng.random(weights).astype(np.float32)
    ours, theirs = metrics.Mean(), keras.metrics.Mean()
    ours.update_state(array, given)
    theirs.update_state(array, given)
    np.testing.assert_allclose(ours.total.numpy(), np.asarray(theirs.total), rtol=1e-5)
    np.testing.assert_allclose(ours.count.numpy(), np.asarray(theirs.count), rtol=1e-5)


def test_reset_forgets_everything() -> None:
    metric = metrics.SparseCategoricalAccuracy()
    metric.update_state(CLASSES, PREDICTIONS)
    metric.reset_state()
    assert float(metric.result()) == 0.0
    assert all(float(variable) == 0.0 for variable in metric.variables)


def test_the_sum_adds_up_over_batches() -> None:
    metric = metrics.Sum()
    metric.update_state([1.0, 2.0])
    metric.update_state([3.0], sample_weight=[2.0])
    assert float(metric.result()) == 9.0


def test_equal_predictions_count_among_the_best_k() -> None:
    metric = metrics.SparseTopKCategoricalAccuracy(k=1)
    metric.update_state([2], [[0.5, 0.1, 0.5]])
    assert float(metric.result()) == 1.0


def test_a_mean_of_a_function_of_ones_own() -> None:
    metric = metrics.MeanMetricWrapper(losses.mean_absolute_error, name="distance")
    assert float(metric([[0.0], [2.0]], [[1.0], [4.0]])) == pytest.approx(1.5)
    assert metric.get_config()["fn"]["config"] == "mean_absolute_error"


@pytest.mark.parametrize("name", ["mae", "mean_absolute_error", "MeanAbsoluteError"])
def test_a_metric_is_found_by_any_of_its_names(name: str) -> None:
    assert callable(metrics.get(name))


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(ValueError, match="no_such_metric"):
        metrics.get("no_such_metric")


AT = ("SensitivityAtSpecificity", "SpecificityAtSensitivity", "PrecisionAtRecall", "RecallAtPrecision")


@pytest.mark.parametrize("name", AT)
@pytest.mark.parametrize("options", [{}, {"num_thresholds": 1}, {"num_thresholds": 7, "class_id": 2}], ids=str)
def test_the_best_rate_at_another_equals_keras(name: str, options: dict[str, Any]) -> None:
    ours, theirs = getattr(metrics, name)(0.4, **options), getattr(keras.metrics, name)(0.4, **options)
    for weights in (None, WEIGHTS):
        ours.update_state(BINARY, PREDICTIONS, weights)
        theirs.update_state(BINARY, PREDICTIONS, weights)
        np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), rtol=1e-5)
    assert as_json(serialize(ours)) == as_json(keras.metrics.serialize(theirs))
    assert [v.name for v in ours.variables] == [v.name for v in theirs.variables]


def test_intersections_of_regions_equal_keras() -> None:
    rng = np.random.default_rng(0)
    truth, taken = rng.integers(-1, 5, (2, 3, 20, 5))
    weights = rng.integers(0, 3, truth.shape)
    for name, options in (
        ("IoU", {"num_classes": 4, "target_class_ids": (0, 3)}),
        ("MeanIoU", {"num_classes": 5, "ignore_class": 2}),
        ("BinaryIoU", {"threshold": 0.3}),
    ):
        ours, theirs = getattr(metrics, name)(**options), getattr(keras.metrics, name)(**options)
        predicted = rng.random(truth.shape).astype(np.float32) if name == "BinaryIoU" else taken
        for given in (None, weights):
            ours.update_state(truth, predicted, given)
            theirs.update_state(truth, predicted, given)
            np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), rtol=1e-5)
        np.testing.assert_array_equal(ours.total_cm.numpy(), np.asarray(theirs.total_cm))
        config = {**as_json(serialize(ours))["config"], "name": None}
        assert config == {**as_json(keras.metrics.serialize(theirs))["config"], "name": None}


def test_segmentation_counts_within_training() -> None:
    model = Sequential([layers.Input((6, 6, 1)), layers.Conv2D(3, 1, activation="softmax")])
    data = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype(np.float32)
    truth = np.eye(3, dtype=np.float32)[(data[..., 0] > 0).astype(int)]
    model.compile("sgd", losses.Dice(), metrics=[metrics.OneHotMeanIoU(3, name="iou")])
    history = model.fit(data, truth, batch_size=4, epochs=2, verbose=0).history
    assert not model._function("train").eager
    assert 0 <= history["iou"][-1] <= 1
