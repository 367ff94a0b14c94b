"""Weights of samples, time steps and outputs: losses, weighted metrics and the training that follows equal Keras's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import engine
from tests.engine.keras_reference import keras

_rng = np.random.default_rng(0)
ROWS = 24
X = _rng.random((ROWS, 5)).astype(np.float32)
STEPS = _rng.random((ROWS, 4, 5)).astype(np.float32)
CLASSES = _rng.integers(0, 2, (ROWS, 4))
TARGETS = {"a": _rng.random((ROWS, 2)).astype(np.float32), "b": _rng.random((ROWS, 1)).astype(np.float32)}
WEIGHTS = _rng.random(ROWS).astype(np.float32)
STEP_WEIGHTS = _rng.random((ROWS, 4)).astype(np.float32)


def _temporal(library: Any) -> Any:
    model = library.Sequential([library.Input((4, 5)), library.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    return model


def _two_outputs(library: Any) -> Any:
    inputs = library.Input((5,))
    outputs = {"a": library.layers.Dense(2, name="a")(inputs), "b": library.layers.Dense(1, name="b")(inputs)}
    model = library.Model(inputs, outputs)
    weighted = {"a": ["mae"], "b": ["mse"]}
    model.compile("sgd", {"a": "mse", "b": "mae"}, loss_weights={"a": 0.5, "b": 2.0}, weighted_metrics=weighted)
    return model


def _batches() -> Iterator[Any]:
    weights = {"a": WEIGHTS, "b": 2 * WEIGHTS}
    for start in range(0, ROWS, 8):
        rows = slice(start, start + 8)
        targets, part = ({name: array[rows] for name, array in nest.items()} for nest in (TARGETS, weights))
        yield X[rows], targets, part


CASES: dict[str, tuple[Any, Any]] = {
    "each time step": (_temporal, lambda: (STEPS, CLASSES, STEP_WEIGHTS)),
    "a generator's, by output": (_two_outputs, lambda: (_batches(),)),
    "one for all outputs": (_two_outputs, lambda: (X, TARGETS, WEIGHTS)),
}


@pytest.mark.parametrize(("make", "data"), CASES.values(), ids=list(CASES))
def test_training_and_judging_equal_keras(make: Any, data: Any) -> None:
    ours, theirs = make(engine), make(keras)
    ours.set_weights(theirs.get_weights())
    outcomes = []
    for model in (ours, theirs):
        given = dict(zip(("x", "y", "sample_weight"), data(), strict=False))
        validation = tuple(data()) if len(given) == 3 else data()[0]
        options: dict[str, Any] = {"batch_size": 8} if len(given) == 3 else {}
        history = model.fit(**given, validation_data=validation, shuffle=False, verbose=0, **options).history
        outcomes.append(history)
    assert sorted(outcomes[0]) == sorted(outcomes[1])
    for name, values in outcomes[1].items():
        np.testing.assert_allclose(outcomes[0][name], values, rtol=1e-4, err_msg=name)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)
