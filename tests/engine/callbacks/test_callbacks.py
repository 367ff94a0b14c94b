"""Callbacks: when they are called, what they see, what they do."""

from __future__ import annotations

import csv
import io
import logging
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import Input, Sequential, callbacks, layers
from engine.callbacks.callback_list import CallbackList
from engine.utils import Progbar
from tests.engine.keras_reference import keras

_rng = np.random.default_rng(0)
X = _rng.random((24, 3)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True)


def model(learning_rate: float = 0.01) -> Sequential:
    built = Sequential([Input((3,)), layers.Dense(1)])
    built.compile(engine.optimizers.SGD(learning_rate), "mse")
    return built


class Noting(callbacks.Callback):
    """Notes the hooks it hears of."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.heard.append("train")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.heard.append(("epoch", epoch))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.heard.append((batch, sorted(logs)))

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.heard.append(("test", batch))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.heard.append(sorted(logs))

    def on_train_end(self, logs: Any = None) -> None:
        self.heard.append("end")


def test_hooks_are_called_in_order_with_their_values() -> None:
    noting = Noting()
    model().fit(X, Y, batch_size=12, epochs=1, validation_data=(X[:4], Y[:4]), verbose=0, callbacks=[noting])
    assert noting.heard == [
        "train",
        ("epoch", 0),
        (0, ["loss"]),
        (1, ["loss"]),
        ("test", 0),
        ["loss", "val_loss"],
        "end",
    ]


def test_values_are_not_read_where_nobody_looks() -> None:
    reads = []
    hooks = CallbackList([callbacks.ModelCheckpoint("x.keras"), callbacks.History()], verbose=0)
    hooks.on_train_batch_end(0, lambda: reads.append(1) or {})
    assert reads == []
    CallbackList([Noting()]).on_train_batch_end(0, lambda: reads.append(1) or {"loss": 1.0})
    assert reads == [1]


def test_something_that_is_no_callback_is_refused() -> None:
    with pytest.raises(TypeError, match="lambda"):
        CallbackList([lambda: None])


def test_history_keeps_every_epoch() -> None:
    trained = model()
    history = trained.fit(X, Y, epochs=3, verbose=0)
    assert history.epoch == [0, 1, 2]
    assert len(history.history["loss"]) == 3
    assert trained.history is history


# Early stopping ------------------------------------------------------------------------------------------------------


def _feed(callback: Any, values: list[float], name: str = "val_loss", stub: Any = None) -> Any:
    class Stub:
        stop_training = False
        weights = 0

        def get_weights(self) -> list[int]:
            return [self.weights]

        def set_weights(self, weights: list[int]) -> None:
            self.weights = weights[0]

    watched = stub or Stub()
    callback.set_model(watched)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        if hasattr(watched, "weights"):
            watched.weights = epoch
        callback.on_epoch_end(epoch, {name: value})
        if watched.stop_training:
            break
    callback.on_train_end()
    return watched


def test_training_stops_after_patience_and_the_best_weights_return() -> None:
    callback = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    watched = _feed(callback, [3.0, 1.0, 2.0, 2.0, 0.5])
    assert callback.stopped_epoch == 3
    assert callback.best_epoch == 1
    assert watched.weights == 1


def test_the_best_weights_return_also_when_training_ends_by_itself() -> None:
    callback = callbacks.EarlyStopping(patience=10, restore_best_weights=True)
    assert _feed(callback, [3.0, 1.0, 2.0]).weights == 1


@pytest.mark.parametrize(
    ("monitor", "values"), [("val_accuracy", [0.5, 0.4]), ("val_loss", [0.4, 0.5]), ("val_loss", [0.4, float("nan")])]
)
def test_better_is_larger_for_accuracies_and_smaller_for_losses(monitor: str, values: list[float]) -> None:
    callback = callbacks.EarlyStopping(monitor, patience=1)
    assert _feed(callback, values, monitor).stop_training


def test_what_a_metric_says_of_itself_decides_and_a_name_that_says_nothing_asks_for_a_mode() -> None:
    class Score(engine.metrics.MeanMetricWrapper):
        _direction = "up"

        def __init__(self) -> None:
            super().__init__(engine.losses.mean_squared_error, name="score")

    trained = Sequential([Input((3,)), layers.Dense(1)])
    trained.compile("sgd", "mse", metrics=[engine.metrics.AUC(name="area"), Score()])
    trained.evaluate(X, (Y > 1.5).astype(np.float32), verbose=0)
    for name, rises in (("val_area", True), ("val_score", True), ("val_loss", False), ("other_mse", False)):
        callback = callbacks.EarlyStopping(name)
        callback.set_model(trained)
        callback.best = 0.5
        assert callback.is_improvement(0.6) is rises
    callback = callbacks.EarlyStopping("val_dice")
    callback.set_model(trained)
    callback.best = 0.5
    with pytest.raises(ValueError, match=r"'val_dice'.*mode"):
        callback.is_improvement(0.6)


def test_small_changes_are_no_improvement() -> None:
    assert _feed(callbacks.EarlyStopping(min_delta=0.1, patience=1), [1.0, 0.95]).stop_training


def test_a_value_that_is_not_there_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    callback = callbacks.EarlyStopping("val_los")
    with caplog.at_level(logging.WARNING):
        _feed(callback, [1.0, 1.0])
    assert caplog.text.count("val_los'") == 1


# Checkpoints ---------------------------------------------------------------------------------------------------------


def test_checkpoints_are_named_by_epoch_and_values_and_load(tmp_path: Path) -> None:
    trained = model()
    callback = callbacks.ModelCheckpoint(tmp_path / "deep" / "{epoch:02d}-{loss:.2f}.keras", verbose=0)
    trained.fit(X, Y, epochs=2, verbose=0, callbacks=callback)
    files = sorted((tmp_path / "deep").iterdir())
    assert [file.name[:3] for file in files] == ["01-", "02-"]
    loaded = engine.models.load_model(files[1])
    np.testing.assert_array_equal(loaded.get_weights()[0], trained.get_weights()[0])


def test_only_improvements_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "best.weights.h5"
    trained = model(learning_rate=0.1)
    callback = callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True, save_weights_only=True)
    trained.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    best = trained.get_weights()
    trained.optimizer.learning_rate = 10.0  # from here it gets worse
    trained.fit(X, Y, epochs=1, verbose=0)
    trained.fit(X, Y, epochs=1, verbose=0, callbacks=[callback])
    fresh = model()
    fresh.load_weights(path)
    np.testing.assert_array_equal(fresh.get_weights()[0], best[0])


def test_checkpoints_after_batches(tmp_path: Path) -> None:
    callback = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=2)
    model().fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[callback])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1-2.keras", "2-1.keras", "2-3.keras"]


@pytest.mark.parametrize("options", [{}, {"save_weights_only": True}])
def test_a_path_with_the_wrong_ending_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must end in"):
        callbacks.ModelCheckpoint("model.txt", **options)


# Learning rates ------------------------------------------------------------------------------------------------------


def test_the_learning_rate_follows_a_function_of_the_epoch() -> None:
    trained = model()
    scheduler = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else 0.5)
    history = trained.fit(X, Y, epochs=3, verbose=0, callbacks=[scheduler])
    np.testing.assert_allclose(history.history["learning_rate"], [0.5, 0.25, 0.125])


def test_a_schedule_that_gives_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="must return a number"):
        model().fit(X, Y, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch: "fast")])


def test_the_learning_rate_falls_on_a_plateau() -> None:
    class Stub:
        optimizer = engine.optimizers.SGD(1.0)
        stop_training = False

    _feed(callbacks.ReduceLROnPlateau(factor=0.5, patience=2, min_lr=0.3), [1.0] * 9, stub=Stub())
    assert float(Stub.optimizer.learning_rate) == pytest.approx(0.3)


@pytest.mark.parametrize(
    "options", [{"patience": 2}, {"patience": 1, "cooldown": 2, "min_lr": 0.2}, {"min_delta": 0.2}]
)
def test_learning_rates_fall_as_keras_s_do(options: dict[str, Any]) -> None:
    values = [1.0, 0.95, 0.94, 0.99, 0.9, 0.91, 0.92, 0.7, 0.71, 0.72, 0.73, 0.74, 0.75, 0.76]
    rates = []
    for library in (engine, keras):
        model = types.SimpleNamespace(optimizer=library.optimizers.SGD(1.0))
        callback = library.callbacks.ReduceLROnPlateau("loss", factor=0.5, **{"patience": 3, **options})
        callback.set_model(model)
        callback.on_train_begin()
        seen = []
        for epoch, value in enumerate(values):
            callback.on_epoch_end(epoch, {"loss": value})
            seen.append(float(model.optimizer.learning_rate))
        rates.append(seen)
    assert rates[0] == rates[1]
    assert rates[0][-1] < 1.0


# Files and stops -----------------------------------------------------------------------------------------------------


def test_values_are_written_as_csv_and_appended(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    trained = model()
    trained.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[callbacks.CSVLogger(path)])
    trained.fit(X, Y, epochs=1, verbose=0, validation_data=(X, Y), callbacks=[callbacks.CSVLogger(path, append=True)])
    rows = list(csv.DictReader(path.open()))
    assert [row["epoch"] for row in rows] == ["0", "1", "0"]
    assert float(rows[1]["val_loss"]) < float(rows[0]["val_loss"])


@pytest.mark.parametrize("validates", [False, True])
def test_csv_files_equal_keras_s(tmp_path: Path, validates: bool) -> None:
    logs = [{"loss": 1.5, "accuracy": 0.25}, {"loss": 1.25, "accuracy": 0.5}]
    if validates:
        logs = [{**entry, **{f"val_{name}": value + 1.0 for name, value in entry.items()}} for entry in logs]
    logs[1]["loss"] = np.array([1.0, 2.0])
    texts = []
    for library in (engine, keras):
        path = tmp_path / f"{library.__name__}.csv"
        for append in (False, True):
            callback = library.callbacks.CSVLogger(str(path), separator=";", append=append)
            callback.set_params({"validates": True})
            callback.on_train_begin()
            for epoch, entry in enumerate(logs):
                callback.on_epoch_end(epoch, entry)
            callback.on_train_end()
        texts.append(list(csv.reader(path.open(newline=""), delimiter=";")))
    assert [[cell.strip('"') for cell in row] for row in texts[1]] == texts[0]


def test_callbacks_may_name_their_arguments_as_they_like() -> None:
    heard: list[Any] = []

    class Own(callbacks.Callback):
        def on_epoch_end(self, number: int, values: Any = None) -> None:
            heard.append((number, sorted(values)))

        def on_train_batch_end(self, number: int, values: Any = None) -> None:
            heard.append(number)

    model().fit(X, Y, batch_size=24, verbose=0, callbacks=[Own()])
    assert heard == [0, (0, ["loss"])]


def test_training_ends_when_the_loss_is_no_number() -> None:
    with np.errstate(all="ignore"):
        history = model(learning_rate=1e30).fit(
            X, Y, batch_size=8, epochs=5, verbose=0, callbacks=[callbacks.TerminateOnNaN()]
        )
    assert len(history.epoch) == 1


def test_lambda_callbacks_hear_what_they_ask_for() -> None:
    heard: list[Any] = []
    callback = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: heard.append((epoch, "loss" in logs)))
    model().fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    assert heard == [(0, True), (1, True)]
    with pytest.raises(TypeError, match="on_monday"):
        callbacks.LambdaCallback(on_monday=print)


# Progress ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_where_output_is_no_terminal_every_epoch_is_one_line(verbose: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model().fit(X, Y, batch_size=8, epochs=2, validation_data=(X, Y), verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    values = [line for line in lines if line.startswith("3/3 - ")]
    assert len(values) == 2
    assert len(lines) == 4
    assert all("loss: " in line and "val_loss: " in line for line in values)


def test_nothing_is_printed_when_silent(capsys: pytest.CaptureFixture[str]) -> None:
    trained = model()
    trained.fit(X, Y, verbose=0)
    trained.evaluate(X, Y, verbose=0)
    trained.predict(X, verbose=0)
    assert capsys.readouterr().out == ""


def test_on_a_terminal_a_bar_is_drawn_and_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    bar = Progbar(3, interval=0.0)
    for step in range(1, 4):
        assert bar.due()
        bar.update(step, [("loss", 1.0 / step)])
    text = terminal.getvalue()
    assert "1/3" in text
    assert "3/3" in text
    assert "loss: 0.3333" in text
    assert "\x1b[" in text


def test_averaged_values_are_means_over_steps(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progbar(4, verbose=2, stateless_metrics=["rate"])
    bar.update(1, [("rate", 1.0)])
    bar.update(4, [("rate", 5.0)])
    assert "rate: 4.0000" in capsys.readouterr().out
