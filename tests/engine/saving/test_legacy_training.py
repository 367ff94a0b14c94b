"""`.h5` files: how the model in them was compiled, and its optimizer's state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import engine
from tests.engine.keras_reference import as_json, keras
from tests.engine.saving.legacy_files import dense_model, whole_model


def _optimizer_file(path: Path, optimizer: dict[str, Any], state: Mapping[str, Any]) -> Path:
    dense_model(path, training_config={"optimizer_config": optimizer, "loss": "mse", "metrics": None})
    with h5py.File(path, "r+") as file:
        group = file.create_group("optimizer_weights")
        group.attrs["weight_names"] = [name.encode() for name in state]
        for name, value in state.items():
            group.create_dataset(name, data=value)
    return path


ADAM = {"class_name": "Adam", "config": {"lr": 0.5, "beta_1": 0.8, "decay": 0.0, "epsilon": None}}


def test_an_optimizer_of_keras_2_goes_on_with_its_state(tmp_path: Path) -> None:
    kernel, bias = np.ones((3, 2), np.float32), np.ones(2, np.float32)
    state = {"Adam/iter:0": np.int64(7), "m0": 2 * kernel, "m1": 3 * bias, "v0": 4 * kernel, "v1": 5 * bias}
    optimizer = engine.models.load_model(_optimizer_file(tmp_path / "m.h5", ADAM, state)).optimizer
    assert optimizer.get_config()["learning_rate"] == 0.5
    assert optimizer.get_config()["beta_1"] == 0.8
    assert optimizer.get_config()["epsilon"] == 1e-7
    assert int(optimizer.iterations) == 7
    first = [float(np.ravel(variable.numpy())[0]) for variable in optimizer.variables[2:]]
    assert first == [2, 4, 3, 5]  # ours alternate


def test_an_optimizer_without_a_counter_keeps_its_averages(tmp_path: Path) -> None:
    config = {"class_name": "RMSprop", "config": {"lr": 0.5, "rho": 0.8, "decay": 0.0}}
    state = {"Variable:0": np.full((3, 2), 2, np.float32), "Variable_1:0": np.full(2, 3, np.float32)}
    optimizer = engine.models.load_model(_optimizer_file(tmp_path / "m.h5", config, state)).optimizer
    assert [float(np.ravel(variable.numpy())[0]) for variable in optimizer.variables[2:]] == [2, 3]


def test_the_state_of_another_optimizer_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "engine"):
        path = _optimizer_file(tmp_path / "m.h5", ADAM, {"Adam/iter:0": np.int64(7), "m0": np.ones(9)})
        assert int(engine.models.load_model(path).optimizer.iterations) == 0
    assert "its state is not loaded" in caplog.text


def test_decay_becomes_the_schedule_that_it_was(tmp_path: Path) -> None:
    config = {"class_name": "SGD", "config": {"lr": 0.5, "decay": 0.1, "momentum": 0.0, "nesterov": False}}
    path = dense_model(tmp_path / "m.h5", training_config={"optimizer_config": config, "loss": "mse"})
    optimizer = engine.models.load_model(path).optimizer
    optimizer.step_counter.assign(10)
    assert float(optimizer.learning_rate) == pytest.approx(0.5 / (1 + 0.1 * 10))


def test_wrapped_losses_and_metrics_become_their_classes(tmp_path: Path) -> None:
    training = {
        "optimizer_config": {"class_name": "SGD", "config": {"learning_rate": 0.1, "name": "SGD"}},
        "loss": {
            "class_name": "LossFunctionWrapper",
            "config": {"fn": "mean_absolute_error", "name": "mae", "reduction": "auto"},
        },
        "metrics": [[{"class_name": "MeanMetricWrapper", "config": {"fn": "mean_squared_error", "name": "error"}}]],
    }
    model = engine.models.load_model(dense_model(tmp_path / "m.h5", training_config=training))
    x = np.array([[1.0, 2.0, 3.0]])
    assert model.evaluate(x, np.array([[14.0, 1.0]]), verbose=0, return_dict=True) == {"loss": 2.0, "error": 5.0}


@pytest.mark.parametrize(
    "optimizer", [lambda: keras.optimizers.Adam(0.01), lambda: keras.optimizers.RMSprop(0.01, momentum=0.5)]
)
def test_an_optimizer_of_keras_3_goes_on_with_its_state(optimizer: Callable[[], Any], tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer(), "mse", metrics=["mae"], run_eagerly=True)
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
    model.save(tmp_path / "m.h5")
    opened = engine.models.load_model(tmp_path / "m.h5")
    for left, right in zip(opened.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(left.numpy(), np.asarray(right))
    assert as_json(opened.optimizer.get_config()) == as_json(model.optimizer.get_config())


def test_our_old_format_keeps_the_optimizers_state(tmp_path: Path) -> None:
    model = engine.Sequential([engine.Input((3,)), engine.layers.Dense(2)])
    model.compile(engine.optimizers.Adam(0.01), engine.losses.MeanSquaredError(), metrics=["mae"])
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
    model.save(tmp_path / "m.h5")
    opened = engine.models.load_model(tmp_path / "m.h5")
    for left, right in zip(opened.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy())
    assert as_json(opened.get_compile_config()) == as_json(model.get_compile_config())
    theirs = keras.models.load_model(tmp_path / "m.h5")
    assert as_json(theirs.optimizer.get_config()) == as_json(model.optimizer.get_config())


def test_the_training_configuration_can_be_left_out(tmp_path: Path) -> None:
    path = dense_model(tmp_path / "m.h5", training_config={"optimizer_config": ADAM, "loss": "a_loss_of_the_user"})
    with pytest.raises(ValueError, match="a_loss_of_the_user"):
        engine.models.load_model(path)
    assert engine.models.load_model(path, compile=False).optimizer is None


def test_slots_of_single_numbers_go_where_they_belong(tmp_path: Path) -> None:
    query = engine.Input((3, 2))
    model = engine.Model(query, engine.layers.Attention(use_scale=True)([query, query]))
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(2, 3, 2)).astype(np.float32)
    model.fit(x, np.ones_like(x), epochs=2, verbose=0)
    model.save(tmp_path / "m.h5")
    _, _, momentum, velocity = (variable.numpy() for variable in model.optimizer.variables)
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file.attrs["keras_version"] = "2.4.0"
        del file["optimizer_weights"]
        group = file.create_group("optimizer_weights")
        state = {"Adam/iter:0": np.int64(7), "Adam/scale/m:0": momentum, "Adam/scale/v:0": velocity}
        group.attrs["weight_names"] = [name.encode() for name in state]
        for name, value in state.items():
            group.create_dataset(name, data=value)
    optimizer = engine.models.load_model(tmp_path / "m.h5").optimizer
    assert int(optimizer.iterations) == 7
    assert [float(variable) for variable in optimizer.variables[2:]] == [float(momentum), float(velocity)]


def test_the_counter_of_a_model_without_variables_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = {"name": "s", "layers": [{"class_name": "Flatten", "config": {"batch_input_shape": [None, 2, 2]}}]}
    training = {"optimizer_config": ADAM, "loss": "mse"}
    path = whole_model(tmp_path / "m.h5", {"class_name": "Sequential", "config": config}, {}, training_config=training)
    with h5py.File(path, "r+") as file:
        group = file.create_group("optimizer_weights")
        group.attrs["weight_names"] = [b"iter:0"]
        group["iter:0"] = np.int64(7)
    with caplog.at_level(logging.WARNING, "engine"):
        assert int(engine.models.load_model(path).optimizer.iterations) == 7
    assert not caplog.text
