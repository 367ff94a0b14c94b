"""What a compiled model is trained with travels between Keras and us, and training goes on equally."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from tests.engine.keras_reference import as_json, keras
from tests.engine.saving.architectures import randomise

LIBRARIES = {"ours": engine, "keras": keras}

OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda library: library.optimizers.SGD(0.05),
    "sgd_momentum": lambda library: library.optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=0.5),
    "adam": lambda library: library.optimizers.Adam(0.01, weight_decay=0.01),
    "adam_amsgrad": lambda library: library.optimizers.Adam(
        library.optimizers.schedules.ExponentialDecay(0.02, 2, 0.5, staircase=True), amsgrad=True
    ),
    "rmsprop": lambda library: library.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "nadam": lambda library: library.optimizers.Nadam(0.01),
    "adadelta": lambda library: library.optimizers.Adadelta(0.5),
    "adagrad": lambda library: library.optimizers.Adagrad(0.05),
    "averages": lambda library: library.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.8),
    "accumulation": lambda library: library.optimizers.Adam(0.01, gradient_accumulation_steps=2),
}


def _model(library: Any) -> Any:
    layers = library.layers
    model = library.Sequential(
        [
            library.Input((6,)),
            layers.Dense(5, activation="tanh", kernel_regularizer="l2"),
            layers.BatchNormalization(momentum=0.8),
            layers.Dense(4),
        ]
    )
    randomise(model)
    return model


def _batch(seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(8, 6)).astype(np.float32), rng.integers(0, 4, 8)


def _slots(optimizer: Any) -> list[Any]:
    return [
        np.asarray(variable.numpy() if hasattr(variable, "array") else variable) for variable in optimizer.variables
    ]


@pytest.mark.parametrize("writer", ["ours", "keras"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizer_state_travels_and_the_next_step_is_the_same(optimizer: str, writer: str, tmp_path: Path) -> None:
    library, other = LIBRARIES[writer], LIBRARIES["keras" if writer == "ours" else "ours"]
    model = _model(library)
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(OPTIMIZERS[optimizer](library), loss, metrics=["accuracy"], run_eagerly=True)
    for seed in range(3):
        model.train_on_batch(*_batch(seed))
    model.save(tmp_path / "m.keras")
    opened = other.models.load_model(tmp_path / "m.keras")
    assert int(opened.optimizer.iterations) == int(model.optimizer.iterations)
    assert as_json(opened.optimizer.get_config()) == as_json(model.optimizer.get_config())
    for left, right in zip(_slots(model.optimizer), _slots(opened.optimizer), strict=True):
        np.testing.assert_array_equal(right, left)
    for item in (model, opened):
        item.train_on_batch(*_batch(7))
    for left, right in zip(_slots(model.optimizer), _slots(opened.optimizer), strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-4, atol=1e-6)
    for left, right in zip(model.get_weights(), opened.get_weights(), strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-4, atol=1e-6)


def _several_outputs(library: Any) -> Any:
    inputs = library.Input((6,))
    x = library.layers.Dense(4, activation="relu")(inputs)
    outputs = {
        "digit": library.layers.Dense(3, activation="softmax", name="digit")(x),
        "size": library.layers.Dense(1, name="size")(x),
    }
    model = library.Model(inputs, outputs)
    randomise(model)
    return model


COMPILATIONS: dict[str, tuple[Any, Any]] = {
    "strings": (
        _model,
        lambda library: {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
    ),
    "objects": (
        _model,
        lambda library: {
            "optimizer": library.optimizers.SGD(library.optimizers.schedules.CosineDecay(0.1, 50), momentum=0.5),
            "loss": library.losses.SparseCategoricalCrossentropy(from_logits=True, name="entropy"),
            "metrics": [
                library.metrics.SparseCategoricalAccuracy(name="hits"),
                library.metrics.SparseTopKCategoricalAccuracy(k=2),
            ],
            "weighted_metrics": ["accuracy"],
        },
    ),
    "functions": (
        _model,
        lambda library: {
            "optimizer": library.optimizers.RMSprop(
                library.optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.01, 0.001])
            ),
            "loss": library.losses.mean_squared_error,
            "metrics": [library.metrics.mean_absolute_error],
        },
    ),
    "several": (
        _several_outputs,
        lambda library: {
            "optimizer": "sgd",
            "loss": {"digit": "sparse_categorical_crossentropy", "size": library.losses.MeanSquaredError()},
            "loss_weights": {"digit": 1.0, "size": 0.25},
            "metrics": {"digit": ["accuracy"], "size": [library.metrics.MeanAbsoluteError(name="off")]},
        },
    ),
}


@pytest.mark.parametrize("writer", ["ours", "keras"])
@pytest.mark.parametrize("compilation", COMPILATIONS)
def test_losses_metrics_and_schedules_travel(compilation: str, writer: str, tmp_path: Path) -> None:
    library, other = LIBRARIES[writer], LIBRARIES["keras" if writer == "ours" else "ours"]
    make, arguments = COMPILATIONS[compilation]
    model = make(library)
    model.compile(**arguments(library), run_eagerly=True)
    model.save(tmp_path / "m.keras")
    opened = other.models.load_model(tmp_path / "m.keras")
    expected, received = (as_json(item.get_compile_config()) for item in (model, opened))
    for config in (expected, received):
        del config["jit_compile"]  # Keras decides anew on each machine
    assert received == expected
    x, y = _batch(1)
    if compilation == "several":
        y = {"digit": np.minimum(y, 2), "size": x[:, :1]}
    elif compilation == "functions":
        y = x[:, :4]
    expected, received = (item.evaluate(x, y, verbose=0, return_dict=True) for item in (model, opened))
    assert sorted(received) == sorted(expected)
    for name, value in expected.items():
        assert received[name] == pytest.approx(float(value), rel=1e-4), name


def test_uncompiled_models_stay_uncompiled(tmp_path: Path) -> None:
    for writer, library in LIBRARIES.items():
        _model(library).save(tmp_path / f"{writer}.keras")
        assert not engine.models.load_model(tmp_path / f"{writer}.keras").compiled


def test_compile_false_leaves_out_the_optimizer_and_its_state(tmp_path: Path) -> None:
    model = _model(engine)
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 6), np.float32), np.ones((2, 4), np.float32))
    model.save(tmp_path / "m.keras")
    opened = engine.models.load_model(tmp_path / "m.keras", compile=False)
    assert not opened.compiled
    for left, right in zip(model.get_weights(), opened.get_weights(), strict=True):
        np.testing.assert_array_equal(right, left)


@pytest.mark.parametrize("writer", ["ours", "keras"])
def test_a_model_compiled_but_never_trained_opens_without_a_warning(
    writer: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = _model(LIBRARIES[writer])
    model.compile(LIBRARIES[writer].optimizers.Adam(0.25), "mse")
    model.save(tmp_path / "m.keras")
    opened = engine.models.load_model(tmp_path / "m.keras")
    assert float(opened.optimizer.learning_rate) == 0.25
    assert not caplog.records


def test_a_learning_rate_that_was_changed_while_training_is_kept(tmp_path: Path) -> None:
    model = _model(engine)
    model.compile(engine.optimizers.SGD(0.5), "mse")
    model.train_on_batch(np.ones((2, 6), np.float32), np.ones((2, 4), np.float32))
    model.optimizer.learning_rate = 0.125
    model.save(tmp_path / "m.keras")
    for library in LIBRARIES.values():
        assert float(library.models.load_model(tmp_path / "m.keras").optimizer.learning_rate) == 0.125
