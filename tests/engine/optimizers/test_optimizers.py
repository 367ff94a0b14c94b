"""Optimizers make Keras's steps, keep Keras's state in Keras's order, and refuse what makes no sense."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import optimizers
from engine.registry import deserialize, serialize
from engine.variable import Variable
from tests.engine.keras_reference import as_json, keras

Maker = Callable[[Any], Any]

MAKERS: dict[str, Maker] = {
    "sgd": lambda k: k.SGD(0.1),
    "momentum": lambda k: k.SGD(0.1, momentum=0.9),
    "nesterov with decay": lambda k: k.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda k: k.Adam(0.1),
    "amsgrad, clipped norm": lambda k: k.Adam(0.1, amsgrad=True, clipnorm=0.1),
    "adamw, clipped values": lambda k: k.AdamW(0.1, clipvalue=0.1),
    "rmsprop": lambda k: k.RMSprop(0.1),
    "centered rmsprop": lambda k: k.RMSprop(0.1, momentum=0.9, centered=True, global_clipnorm=0.5),
    "rmsprop with momentum": lambda k: k.RMSprop(0.1, momentum=0.5),
    "centered": lambda k: k.RMSprop(0.1, centered=True),
    "nadam": lambda k: k.Nadam(0.1),
    "nadam, accumulation": lambda k: k.Nadam(0.1, gradient_accumulation_steps=2),
    "adamax": lambda k: k.Adamax(0.1, weight_decay=0.01),
    "adagrad": lambda k: k.Adagrad(0.1, initial_accumulator_value=0.2),
    "adadelta": lambda k: k.Adadelta(1.0, rho=0.9),
    "ftrl": lambda k: k.Ftrl(
        0.1,
        l1_regularization_strength=0.01,
        l2_regularization_strength=0.02,
        l2_shrinkage_regularization_strength=0.03,
        beta=0.1,
    ),
    "lion": lambda k: k.Lion(0.1),
    "lamb": lambda k: k.Lamb(0.1, weight_decay=0.01),
    "adafactor": lambda k: k.Adafactor(0.5, clip_threshold=0.8),
    "adafactor at a fixed rate": lambda k: k.Adafactor(0.1, relative_step=False),
    "averages that overwrite": lambda k: k.Adam(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2),
    "averages": lambda k: k.Adam(0.1, use_ema=True),
    "accumulation": lambda k: k.SGD(0.1, momentum=0.5, gradient_accumulation_steps=2),
    "accumulation and averages": lambda k: k.Adam(0.1, gradient_accumulation_steps=3, use_ema=True),
    "schedule": lambda k: k.Adam(k.schedules.CosineDecay(0.1, 5)),
    "scaled loss": lambda k: k.SGD(0.1, loss_scale_factor=4.0),
}


@pytest.fixture(params=MAKERS.values(), ids=list(MAKERS))
def make(request: pytest.FixtureRequest) -> Maker:
    return request.param


def _names(optimizer: Any) -> list[str]:
    # Nadam's product has no name of its own, and Keras numbers such variables.
    return [re.sub(r"^variable_\d+$", "variable", variable.name) for variable in optimizer.variables]


def test_six_steps_and_all_state_equal_keras(make: Maker) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = make(optimizers), make(keras.optimizers)
    starts = [rng.random((3, 4)).astype(np.float32), rng.random(4).astype(np.float32)]
    mine = [Variable(start, name=name) for start, name in zip(starts, "kb", strict=True)]
    other = [keras.Variable(start, name=name) for start, name in zip(starts, "kb", strict=True)]
    for _ in range(6):
        gradients = [rng.standard_normal(start.shape).astype(np.float32) for start in starts]
        ours.apply_gradients(zip(gradients, mine, strict=True))
        theirs.apply_gradients([(keras.ops.convert_to_tensor(g), v) for g, v in zip(gradients, other, strict=True)])
    assert _names(ours) == _names(theirs)
    for a, b in zip(mine + ours.variables, other + theirs.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=1e-5, atol=1e-6, err_msg=a.name)
    ours.finalize_variable_values(mine)
    theirs.finalize_variable_values(other)
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=1e-5, atol=1e-6)


def test_configs_equal_keras_and_build_the_same_optimizer(make: Maker) -> None:
    ours, theirs = as_json(serialize(make(optimizers))), as_json(keras.optimizers.serialize(make(keras.optimizers)))
    for config in (ours, theirs):
        config["config"].pop("name")
    assert ours == theirs
    again = as_json(serialize(deserialize(ours)))
    again["config"].pop("name")
    assert again == ours


def test_saved_state_continues_where_it_was() -> None:
    def trained(steps: int, start: Any = None, store: dict[str, Any] | None = None) -> tuple[Variable, Any]:
        variable = Variable(np.ones(5, np.float32) if start is None else start)
        optimizer = optimizers.Adam(0.1)
        optimizer.build([variable])
        if store is not None:
            optimizer.load_own_variables(store)
        for _ in range(steps):
            optimizer.apply([variable * 2.0], [variable])
        return variable, optimizer

    whole, _ = trained(6)
    half, optimizer = trained(3)
    store: dict[str, Any] = {}
    optimizer.save_own_variables(store)
    resumed, _ = trained(3, half.numpy(), store)
    np.testing.assert_array_equal(resumed.numpy(), whole.numpy())


def test_state_of_another_optimizer_is_left_aside_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    optimizer = optimizers.Adam()
    optimizer.load_own_variables({"0": np.int32(7)})
    assert int(optimizer.iterations) == 0
    assert "1" in caplog.text
    assert "not loaded" in caplog.text


def test_excluded_variables_do_not_decay() -> None:
    kernel, bias = Variable(np.ones(2, np.float32), name="kernel"), Variable(np.ones(2, np.float32), name="bias")
    optimizer = optimizers.SGD(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([np.zeros(2, np.float32)] * 2, [kernel, bias])
    np.testing.assert_allclose(kernel.numpy(), 0.95)
    np.testing.assert_allclose(bias.numpy(), 1.0)


def test_constraints_hold_after_a_step() -> None:
    variable = Variable(np.ones(2, np.float32))
    variable.constraint = lambda value: value * 0.0
    optimizers.SGD(0.1).apply([np.ones(2, np.float32)], [variable])
    np.testing.assert_array_equal(variable.numpy(), 0.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "Only one"),
        ({"unknown": 1}, "unknown"),
        ({"use_ema": True, "ema_momentum": 3}, "ema_momentum"),
        ({"gradient_accumulation_steps": 1}, "gradient_accumulation_steps"),
        ({"learning_rate": "fast"}, "fast"),
    ],
)
def test_senseless_arguments_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        optimizers.Adam(**arguments)


def test_a_momentum_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="momentum"):
        optimizers.SGD(momentum=2.0)


def test_a_foreign_variable_is_named() -> None:
    optimizer = optimizers.SGD()
    optimizer.build([Variable(np.ones(2, np.float32))])
    with pytest.raises(ValueError, match="stranger"):
        optimizer.apply([np.ones(2, np.float32)], [Variable(np.ones(2, np.float32), name="stranger")])


def test_no_gradient_at_all_is_an_error_and_a_missing_one_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    variables = [Variable(np.ones(2, np.float32), name=name) for name in ("used", "unused")]
    optimizer = optimizers.SGD()
    with pytest.raises(ValueError, match="gradient"):
        optimizer.apply([None, None], variables)
    optimizer.apply([np.ones(2, np.float32), None], variables)
    assert "unused" in caplog.text
    np.testing.assert_array_equal(variables[1].numpy(), 1.0)


def test_the_learning_rate_can_be_set_but_not_against_a_schedule() -> None:
    optimizer = optimizers.SGD(0.1)
    optimizer.learning_rate = 0.5
    assert float(optimizer.learning_rate) == 0.5
    scheduled = optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))
    with pytest.raises(TypeError, match="schedule"):
        scheduled.learning_rate = 0.5


@pytest.mark.parametrize("name", ["adam", "Adam", "sgd", "rmsprop", "RMSprop", "adamw", "nadam", "Adadelta"])
def test_an_optimizer_is_found_by_name(name: str) -> None:
    assert type(optimizers.get(name)).__name__.lower() == name.lower()


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(ValueError, match="no_such_optimizer"):
        optimizers.get("no_such_optimizer")


def test_steps_without_finite_gradients_are_left_out_and_halve_the_scale() -> None:
    plain = optimizers.SGD(0.1, momentum=0.9)
    scaled = optimizers.LossScaleOptimizer(optimizers.SGD(0.1, momentum=0.9), initial_scale=8.0, dynamic_growth_steps=3)
    expected, received = (Variable(np.ones(3, np.float32), name="k") for _ in range(2))
    scales = []
    for number in (8.0, np.inf, 16.0, np.nan, 8.0, 8.0, 8.0, 8.0):
        gradient = np.array([1.0, number, 2.0], np.float32)
        if np.isfinite(number):
            plain.apply([gradient / (scales[-1] if scales else 8.0)], [expected])
        scaled.apply([gradient], [received])
        scales.append(float(scaled.dynamic_scale.numpy()))
        np.testing.assert_allclose(received.numpy(), expected.numpy(), rtol=1e-6)
    assert scales == [8.0, 4.0, 4.0, 2.0, 2.0, 2.0, 4.0, 4.0]
    assert int(scaled.iterations.numpy()) == 6
    with pytest.raises(ValueError, match="set these on the inner optimizer"):
        optimizers.LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0)


@pytest.mark.parametrize("direction", ["from keras", "to keras"])
def test_a_scaled_optimizer_trains_in_a_plan_and_its_state_goes_both_ways(tmp_path: Path, direction: str) -> None:
    writer, reader = (keras, engine) if direction == "from keras" else (engine, keras)
    x = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    model = writer.Sequential([writer.Input((3,)), writer.layers.Dense(1)])
    scaled = writer.optimizers.LossScaleOptimizer(writer.optimizers.Adam(0.05), dynamic_growth_steps=4)
    model.compile(scaled, "mse")
    losses = model.fit(x, x.sum(1, keepdims=True), epochs=10, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    model.save(tmp_path / "model.keras")
    again = reader.saving.load_model(tmp_path / "model.keras")
    assert again.optimizer.built
    for expected, received in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(received.numpy()), np.asarray(expected.numpy()))
