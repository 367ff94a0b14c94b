"""Models have Keras's configs, outputs and training: same weights, same data, same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import engine
from engine import tree
from engine.naming import reset_names
from engine.registry import deserialize, serialize
from tests.engine.keras_reference import as_json, keras
from tests.engine.models import architectures

Architecture = Callable[[Any], Any]
ALL = [
    architectures.classifier,
    architectures.branches,
    architectures.nested,
    architectures.residual,
    architectures.operators,
    architectures.idle_input,
]


def both(architecture: Architecture, **options: Any) -> tuple[Any, Any]:
    """Our model and Keras's, with the same names and weights."""
    reset_names()
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    ours, theirs = architecture(engine, **options), architecture(keras, **options)
    ours.set_weights(theirs.get_weights())
    return ours, theirs


def without_marks(config: Any) -> Any:
    """A config without the ids of shared objects, which are arbitrary."""
    if isinstance(config, dict):
        return {key: without_marks(value) for key, value in config.items() if key != "shared_object_id"}
    return [without_marks(item) for item in config] if isinstance(config, list) else config


def inputs_of(model: Any, rows: int = 5) -> Any:
    rng = np.random.default_rng(3)
    arrays = [rng.random((rows, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    names = model.input_names if isinstance(model.input, dict) else []
    return dict(zip(names, arrays, strict=False)) if isinstance(model.input, dict) else arrays


@pytest.fixture(params=ALL, ids=lambda item: item.__name__)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return request.param


def test_configs_equal_keras(architecture: Architecture) -> None:
    ours, theirs = both(architecture)
    mine = without_marks(as_json(serialize(ours)))
    assert mine == without_marks(as_json(keras.saving.serialize_keras_object(theirs)))


def test_outputs_equal_keras(architecture: Architecture) -> None:
    ours, theirs = both(architecture)
    x = inputs_of(ours)
    x = x[0] if isinstance(x, list) and len(x) == 1 else x
    expected, received = tree.flatten(theirs(x, training=False)), tree.flatten(ours(x, training=False))
    for index, (a, b) in enumerate(zip(received, expected, strict=True)):
        if architecture is architectures.nested and index == 3:
            continue  # dropout that is always on
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-4, atol=1e-5)


def test_configs_of_either_engine_build_the_same_model_again(architecture: Architecture) -> None:
    ours, theirs = both(architecture)
    config = as_json(serialize(ours))
    for source in (config, as_json(keras.saving.serialize_keras_object(theirs))):
        again = deserialize(source)
        assert [(v.name, v.shape) for v in again.weights] == [(v.name, v.shape) for v in theirs.weights]
        assert without_marks(as_json(serialize(again))) == without_marks(config)
    keras.saving.deserialize_keras_object(config).set_weights(ours.get_weights())


def test_clones_have_new_weights_of_the_same_shapes(architecture: Architecture) -> None:
    ours, _ = both(architecture)
    clone = engine.models.clone_model(ours)
    assert [v.shape for v in clone.weights] == [v.shape for v in ours.weights]
    assert not {id(v) for v in clone.weights} & {id(v) for v in ours.weights}


# A small epsilon makes steps of the rounding of gradients that are zero.
OPTIMIZERS: dict[str, Architecture] = {
    "sgd": lambda k: k.optimizers.SGD(0.05, momentum=0.9),
    "rmsprop": lambda k: k.optimizers.RMSprop(epsilon=1e-3),
    "adam": lambda k: k.optimizers.Adam(epsilon=1e-3),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
def test_training_equals_keras(make: Architecture) -> None:
    ours, theirs = both(architectures.classifier, regularizer="l2")
    rng = np.random.default_rng(0)
    x, y = rng.random((50, 12, 12, 1)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 50)]
    weights = rng.random(50).astype(np.float32)
    histories = []
    for k, model in ((engine, ours), (keras, theirs)):
        model.compile(make(k), "categorical_crossentropy", metrics=["accuracy", "mse"], weighted_metrics=["mae"])
        histories.append(
            model.fit(
                x,
                y,
                batch_size=20,
                epochs=2,
                shuffle=False,
                verbose=0,
                sample_weight=weights,
                validation_data=(x[:10], y[:10]),
            ).history
        )
    assert list(histories[0]) == list(histories[1])
    for name, values in histories[1].items():
        np.testing.assert_allclose(histories[0][name], values, rtol=1e-4, atol=1e-4, err_msg=name)
    mine, other = ours.weights + ours.optimizer.variables, theirs.weights + theirs.optimizer.variables
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_allclose(a.numpy(), np.asarray(b), atol=1e-4, err_msg=a.path)
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-3)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-3)


def test_several_outputs_train_and_report_as_in_keras() -> None:
    ours, theirs = both(architectures.branches)
    rng = np.random.default_rng(1)
    x = {name: rng.random((12, 8)).astype(np.float32) for name in "ab"}
    y = {"o": rng.random((12, 3)).astype(np.float32), "p": rng.random((12, 4)).astype(np.float32)}
    reports = []
    for k, model in ((engine, ours), (keras, theirs)):
        model.compile(
            k.optimizers.SGD(0.01),
            {"o": "mse", "p": k.losses.MeanAbsoluteError()},
            loss_weights={"o": 1.0, "p": 0.5},
            metrics={"o": ["mae", "accuracy"]},
            weighted_metrics={"p": [k.metrics.MeanSquaredError()]},
        )
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        reports.append((model.evaluate(x, y, verbose=0, return_dict=True), model.evaluate(x, y, verbose=0)))
    assert list(reports[0][0]) == list(reports[1][0])
    np.testing.assert_allclose(list(reports[0][0].values()), list(reports[1][0].values()), rtol=1e-4)
    np.testing.assert_allclose(reports[0][1], reports[1][1], rtol=1e-4)
    assert without_marks(as_json(ours.get_compile_config())) == without_marks(as_json(theirs.get_compile_config()))


def test_class_weights_count_as_in_keras() -> None:
    ours, theirs = both(architectures.classifier)
    rng = np.random.default_rng(2)
    x, y = rng.random((16, 12, 12, 1)).astype(np.float32), rng.integers(0, 3, 16)
    losses = []
    for model in (ours, theirs):
        model.compile("sgd", "sparse_categorical_crossentropy")
        history = model.fit(x, y, batch_size=8, shuffle=False, verbose=0, class_weight={0: 1.0, 1: 3.0, 2: 0.5})
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
