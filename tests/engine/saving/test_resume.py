"""A run that is saved, loaded and continued gives bit-equal weights and optimizer state to one that went through."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine.callbacks import ModelCheckpoint
from engine.models import load_model

ROWS = 50  # not a multiple of the batch size: the last batch of an epoch has another plan


def sequential() -> Any:
    """Convolution, dropout and moving statistics, every seed explicit."""
    layers, initial = engine.layers, engine.initializers.GlorotUniform
    return engine.Sequential(
        [
            engine.Input((6, 6, 1)),
            layers.Conv2D(3, 3, kernel_initializer=initial(seed=1), padding="same"),
            layers.BatchNormalization(momentum=0.8),
            layers.MaxPooling2D(),
            layers.Dropout(0.3, seed=11),
            layers.Flatten(),
            layers.Dense(8, activation="relu", kernel_initializer=initial(seed=2), kernel_regularizer="l2"),
            layers.Dropout(0.5, seed=12),
            layers.Dense(3, activation="softmax", kernel_initializer=initial(seed=3)),
        ]
    )


def functional() -> Any:
    """Two branches, one dropout called twice, noise, and a model inside."""
    layers, initial = engine.layers, engine.initializers.HeNormal
    inner_inputs = engine.Input((6,))
    inner = engine.Model(
        inner_inputs,
        layers.BatchNormalization()(layers.Dense(6, kernel_initializer=initial(seed=4))(inner_inputs)),
    )
    inputs = engine.Input((6, 6, 1))
    x = layers.Dense(6, kernel_initializer=initial(seed=5))(layers.Flatten()(inputs))
    drop = layers.Dropout(0.25, seed=13)
    x = layers.Add()([drop(inner(x)), drop(x)])
    x = layers.GaussianNoise(0.1, seed=14)(x)
    return engine.Model(inputs, layers.Dense(3, activation="softmax", kernel_initializer=initial(seed=6))(x))


MAKERS = {"sequential": sequential, "functional": functional}

OPTIMIZERS: dict[str, Any] = {
    "adam": lambda: engine.optimizers.Adam(engine.optimizers.schedules.ExponentialDecay(0.01, 5, 0.9), amsgrad=True),
    "momentum": lambda: engine.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda: engine.optimizers.RMSprop(0.01, centered=True),
}


def compiled(maker: str, optimizer: str, eagerly: bool = False) -> Any:
    """A model that is ready to train."""
    model = MAKERS[maker]()
    model.compile(OPTIMIZERS[optimizer](), "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=eagerly)
    return model


def train(model: Any, first: int, last: int, **options: Any) -> Any:
    """Trains from epoch `first` to `last` in the order of a fixed seed."""
    engine.utils.set_random_seed(77)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(ROWS, 6, 6, 1)).astype(np.float32)
    y = rng.integers(0, 3, ROWS)
    return model.fit(x, y, batch_size=16, initial_epoch=first, epochs=last, verbose=0, **options)


def state(model: Any) -> list[np.ndarray[Any, Any]]:
    """All weights and the optimizer's state."""
    return [*model.get_weights(), *(variable.numpy() for variable in model.optimizer.variables)]


def assert_bit_equal(expected: Any, received: Any) -> None:
    """Not close: equal."""
    for left, right in zip(state(expected), state(received), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("maker", MAKERS)
def test_a_resumed_run_equals_an_uninterrupted_one(maker: str, optimizer: str, tmp_path: Path) -> None:
    whole = compiled(maker, optimizer)
    history = train(whole, 0, 4).history
    begun = compiled(maker, optimizer)
    train(begun, 0, 2)
    begun.save(tmp_path / "m.keras")
    resumed = load_model(tmp_path / "m.keras")
    assert_bit_equal(begun, resumed)
    continued = train(resumed, 2, 4).history
    assert_bit_equal(whole, resumed)
    assert continued["loss"] == history["loss"][2:]


def test_training_changes_something_in_every_epoch_and_seeds_matter() -> None:
    # What the tests above compare would also be equal if nothing were trained, or drawn.
    model = compiled("sequential", "adam")
    losses = train(model, 0, 3).history["loss"]
    assert len(set(losses)) == 3
    other = sequential()
    other.layers[3].seed_generator.state.assign(np.array([99, 0], np.uint32))
    other.compile(OPTIMIZERS["adam"](), "sparse_categorical_crossentropy")
    assert train(other, 0, 3).history["loss"] != losses


def test_a_run_resumed_eagerly_equals_an_uninterrupted_eager_one(tmp_path: Path) -> None:
    whole, begun = compiled("functional", "adam", eagerly=True), compiled("functional", "adam", eagerly=True)
    train(whole, 0, 2)
    train(begun, 0, 1)
    begun.save(tmp_path / "m.keras")
    resumed = load_model(tmp_path / "m.keras")
    assert resumed.run_eagerly
    train(resumed, 1, 2)
    assert_bit_equal(whole, resumed)


def test_a_checkpoint_of_every_epoch_resumes_like_the_run_itself(tmp_path: Path) -> None:
    whole = compiled("sequential", "adam")
    train(whole, 0, 4, callbacks=[ModelCheckpoint(tmp_path / "epoch-{epoch}.keras")])
    for epoch in (1, 3):
        resumed = load_model(tmp_path / f"epoch-{epoch}.keras")
        train(resumed, epoch, 4)
        assert_bit_equal(whole, resumed)


def test_a_checkpoint_inside_an_epoch_holds_the_optimizers_steps(tmp_path: Path) -> None:
    model = compiled("sequential", "adam")
    train(model, 0, 1, callbacks=[ModelCheckpoint(tmp_path / "batch-{batch}.keras", save_freq=2)])
    assert int(load_model(tmp_path / "batch-2.keras").optimizer.iterations) == 2
    assert int(load_model(tmp_path / "batch-4.keras").optimizer.iterations) == 4


def test_saving_does_not_disturb_the_run(tmp_path: Path) -> None:
    whole, saved = compiled("functional", "momentum"), compiled("functional", "momentum")
    train(whole, 0, 2)
    train(saved, 0, 2, callbacks=[ModelCheckpoint(tmp_path / "m.keras", save_freq=1)])
    assert_bit_equal(whole, saved)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_fresh_process_continues_bit_equal(maker: str, tmp_path: Path) -> None:
    whole = compiled(maker, "adam")
    train(whole, 0, 4)
    begun = compiled(maker, "adam")
    train(begun, 0, 2)
    begun.save(tmp_path / "begun.keras")
    script = (
        "from tests.engine.saving.test_resume import load_model, train\n"
        f"model = load_model({str(tmp_path / 'begun.keras')!r})\n"
        "train(model, 2, 4)\n"
        f"model.save({str(tmp_path / 'ended.keras')!r})\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-c", script], check=True, timeout=120, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert_bit_equal(whole, load_model(tmp_path / "ended.keras"))


def test_weights_alone_continue_with_a_fresh_optimizer(tmp_path: Path) -> None:
    model = compiled("sequential", "adam")
    train(model, 0, 1)
    model.save_weights(tmp_path / "m.weights.h5")
    other = compiled("sequential", "momentum")
    other.load_weights(tmp_path / "m.weights.h5")
    for left, right in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    assert int(other.optimizer.iterations) == 0


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_weights_alone_continue_with_the_state_of_an_optimizer_that_is_built(ending: str, tmp_path: Path) -> None:
    whole = compiled("sequential", "adam")
    train(whole, 0, 2)
    path = tmp_path / f"m{ending}"
    (whole.save if ending == ".keras" else whole.save_weights)(path)
    other = compiled("sequential", "adam")
    train(other, 0, 1)
    other.load_weights(path)
    assert int(other.optimizer.iterations) == int(whole.optimizer.iterations)
    for left, right in zip(whole.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy())


@pytest.mark.parametrize("averaged", [False, True])
def test_the_state_of_another_kind_of_optimizer_is_left_out_with_a_warning(
    averaged: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = compiled("sequential", "adam")
    # Averages come first in the file, and have the shapes of momentum.
    model.compile(engine.optimizers.Adam(use_ema=averaged), "sparse_categorical_crossentropy")
    train(model, 0, 1)
    model.save_weights(tmp_path / "m.weights.h5")
    other = compiled("sequential", "momentum")
    train(other, 0, 2)
    before = [variable.numpy() for variable in other.optimizer.variables]
    with caplog.at_level(logging.WARNING, "engine"):
        other.load_weights(tmp_path / "m.weights.h5")
    assert "no state that fits" in caplog.text
    for left, right in zip(before, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(left, right.numpy())
