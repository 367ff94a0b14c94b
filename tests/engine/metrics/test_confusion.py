"""Counts of decisions, and what follows from them, equal Keras's, batch upon batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import Input, Sequential, layers, metrics
from engine.registry import deserialize, serialize
from tests.engine.keras_reference import as_json, keras

_rng = np.random.default_rng(0)
SINGLE = (_rng.integers(0, 2, 24), np.round(_rng.random(24), 2).astype(np.float32), _rng.random(24).astype(np.float32))
LABELS = (
    _rng.integers(0, 2, (24, 3)),
    np.round(_rng.random((24, 3)), 2).astype(np.float32),
    _rng.random(24).astype(np.float32),
)
ONE_HOT = (np.eye(3, dtype=np.float32)[_rng.integers(0, 3, 24)], LABELS[1], LABELS[2])
SINGLE[1][:4] = LABELS[1][:4, 0] = [0.0, 0.5, 1.0, 0.25]  # at thresholds, too

CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("TruePositives", {}, SINGLE),
    ("FalsePositives", {"thresholds": [0.25, 0.5, 0.75]}, LABELS),
    ("TrueNegatives", {"thresholds": 0.3}, LABELS),
    ("FalseNegatives", {}, LABELS),
    ("Precision", {}, SINGLE),
    ("Precision", {"top_k": 2}, LABELS),
    ("Precision", {"thresholds": [0.0, 0.5, 1.0], "class_id": 1}, LABELS),
    ("Recall", {"thresholds": 0.7}, LABELS),
    ("Recall", {"top_k": 1, "class_id": 2}, LABELS),
    ("AUC", {}, SINGLE),
    ("AUC", {"num_thresholds": 21, "curve": "PR"}, LABELS),
    ("AUC", {"curve": "PR", "summation_method": "majoring", "thresholds": [0.2, 0.7]}, SINGLE),
    ("AUC", {"num_thresholds": 11, "curve": "PRGAIN", "summation_method": "minoring"}, SINGLE),
    ("AUC", {"num_thresholds": 11, "multi_label": True}, LABELS),
    ("AUC", {"num_thresholds": 11, "multi_label": True, "num_labels": 3, "label_weights": [0.2, 0.3, 0.5]}, LABELS),
    ("AUC", {"num_thresholds": 11, "label_weights": [0.2, 0.3, 0.5], "from_logits": True}, LABELS),
    ("F1Score", {}, ONE_HOT),
    ("F1Score", {"average": "macro", "threshold": 0.5}, LABELS),
    ("FBetaScore", {"average": "weighted", "beta": 2.0}, ONE_HOT),
    ("FBetaScore", {"average": "micro", "beta": 0.5, "threshold": 0.3}, LABELS),
]


@pytest.mark.parametrize(("name", "options", "data"), CASES)
def test_running_results_state_and_configs_equal_keras(name: str, options: dict[str, Any], data: Any) -> None:
    truth, predictions, weights = data
    ours, theirs = getattr(metrics, name)(name="m", **options), getattr(keras.metrics, name)(name="m", **options)
    for given in (None, weights):
        ours.update_state(truth, predictions, given)
        theirs.update_state(truth, predictions, given)
    np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), rtol=1e-4, atol=1e-6)
    assert [variable.name for variable in ours.variables] == [variable.name for variable in theirs.variables]
    for mine, other in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(mine.numpy(), np.asarray(other), rtol=1e-4, atol=1e-5, err_msg=mine.name)
    if "label_weights" not in options:  # Keras writes a tensor there, which JSON cannot hold
        config = as_json(serialize(ours))
        expected = as_json(keras.metrics.serialize(theirs))
        assert _rounded(config) == _rounded(expected)
        assert as_json(serialize(deserialize(config))) == config


def _rounded(config: Any) -> Any:
    for key, value in config["config"].items():
        if isinstance(value, list):
            config["config"][key] = [round(float(item), 6) for item in value]
    return config


def test_they_count_within_training_and_begin_again_with_every_epoch() -> None:
    model = Sequential([Input((3,)), layers.Dense(3, activation="sigmoid")])
    model.compile("sgd", "mse", metrics=[metrics.AUC(name="auc"), "Precision", metrics.F1Score(average="macro")])
    history = model.fit(LABELS[1], LABELS[0], batch_size=5, epochs=2, shuffle=False, verbose=0).history
    assert not model._function("train").eager
    judged = model.evaluate(LABELS[1], LABELS[0], verbose=0, return_dict=True)
    area = metrics.AUC()
    area.update_state(LABELS[0], model.predict(LABELS[1], verbose=0))
    assert judged["auc"] == pytest.approx(float(area.result()), rel=1e-5)
    assert len(history["auc"]) == 2
    assert sorted(judged) == ["Precision", "auc", "f1_score", "loss"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: metrics.Precision(thresholds=1.5), "1.5"),
        (lambda: metrics.AUC(curve="round"), "'round'"),
        (lambda: metrics.AUC(num_thresholds=1), "at least 2"),
        (lambda: metrics.AUC(num_labels=3), "multi_label"),
        (lambda: metrics.F1Score(average="most"), "'most'"),
        (lambda: metrics.FBetaScore(beta=1), "beta"),
        (lambda: metrics.F1Score(threshold=0.0), "threshold"),
        (lambda: metrics.F1Score().update_state(SINGLE[0], SINGLE[1]), r"\(24,\)"),
        (lambda: metrics.Recall(class_id=1).update_state(SINGLE[0], SINGLE[1]), "two axes"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
