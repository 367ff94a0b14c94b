"""Steps, losses and metrics of the user's own: they equal the built-in ones, and they run as plans."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import engine
from engine import Input, Model, Sequential, layers, losses, metrics, ops, optimizers
from engine.random import SeedGenerator, set_random_seed
from engine.utils import unpack_x_y_sample_weight

_rng = np.random.default_rng(0)
X = _rng.random((40, 6)).astype(np.float32)
Y = (X @ _rng.random((6, 2))).astype(np.float32)
WEIGHTS = _rng.random(40).astype(np.float32)


class Plain(Model):
    """The step as users write it out, every part by itself."""

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with engine.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


class WithTrackers(Model):
    """A loss and metrics of its own, nothing given to compile() but the optimizer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loss_tracker = metrics.Mean(name="loss")
        self.error = metrics.MeanAbsoluteError(name="mae")

    @property
    def metrics(self) -> list[Any]:
        return [self.loss_tracker, self.error]

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with engine.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = ops.mean(losses.mean_squared_error(y, y_pred))
        trained = self.trainable_weights
        self.optimizer.apply(tape.gradient(loss, trained), trained)
        self.loss_tracker.update_state(loss)
        self.error.update_state(y, y_pred)
        return {"loss": self.loss_tracker.result(), "mae": self.error.result()}

    def test_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        self.error.update_state(y, self(x, training=False))
        return {"mae": self.error.result()}


def _network(kind: Any) -> Any:
    set_random_seed(3)
    inputs = Input((6,))
    hidden = layers.Dense(8, activation="relu")(inputs)
    return kind(inputs, layers.Dense(2)(layers.BatchNormalization(momentum=0.5)(hidden)))


def _trained(kind: Any, *compile_arguments: Any, **options: Any) -> Any:
    model = _network(kind)
    model.compile(optimizers.Adam(0.01), *compile_arguments)
    history = model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, **options).history
    assert not model._function("train").eager
    return model, history


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_a_step_written_out_equals_the_built_in_one(weights: Any) -> None:
    written, own = _trained(Plain, "mse", None, ["mae"], sample_weight=weights)
    built_in, theirs = _trained(Model, "mse", None, ["mae"], sample_weight=weights)
    for a, b in zip(written.get_weights(), built_in.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    assert sorted(own) == sorted(theirs) == ["loss", "mae"]
    for name in own:
        np.testing.assert_allclose(own[name], theirs[name], rtol=1e-5)


def test_a_loss_and_metrics_of_one_s_own_need_no_compiled_ones() -> None:
    model, history = _trained(WithTrackers)
    reference, expected = _trained(Model, "mse", None, ["mae"])
    np.testing.assert_allclose(history["mae"], expected["mae"], rtol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], reference.get_weights()[0], rtol=1e-5)
    judged = model.evaluate(X, Y, batch_size=8, verbose=0, return_dict=True)
    assert judged == {"mae": pytest.approx(float(np.abs(model.predict(X, verbose=0) - Y).mean()), rel=1e-5)}


def test_a_step_without_targets_gets_the_inputs_alone() -> None:
    class Autoencoder(Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = layers.Dense(3), layers.Dense(6)

        def train_step(self, data: Any) -> dict[str, Any]:
            with engine.GradientTape() as tape:
                loss = ops.mean(ops.square(self.decoder(self.encoder(data)) - data))
            self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
            return {"loss": loss}

    model = Autoencoder()
    model.compile("adam")
    history = model.fit(X, batch_size=20, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert not model._function("train").eager


class Adversaries(Model):
    """Two networks with an optimizer each, noise drawn in the step, and no call()."""

    def __init__(self) -> None:
        super().__init__()
        self.seed_generator = SeedGenerator(11)
        self.generator = Sequential([Input((4,)), layers.Dense(6)])
        self.critic = Sequential([Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(1)])

    def compile(self, critic_optimizer: Any, generator_optimizer: Any, loss_fn: Any) -> None:
        super().compile()
        self.critic_optimizer, self.generator_optimizer = critic_optimizer, generator_optimizer
        self.loss_fn = loss_fn

    def train_step(self, real: Any) -> dict[str, Any]:
        count = real.shape[0]
        noise = engine.random.normal((count, 4), seed=self.seed_generator)
        images = ops.concatenate([self.generator(noise), real], axis=0)
        labels = ops.concatenate([ops.ones((count, 1)), ops.zeros((count, 1))], axis=0)
        with engine.GradientTape() as tape:
            critic_loss = self.loss_fn(labels, self.critic(images))
        gradients = tape.gradient(critic_loss, self.critic.trainable_weights)
        self.critic_optimizer.apply(gradients, self.critic.trainable_weights)
        with engine.GradientTape() as tape:
            generator_loss = self.loss_fn(ops.zeros((count, 1)), self.critic(self.generator(noise)))
        gradients = tape.gradient(generator_loss, self.generator.trainable_weights)
        self.generator_optimizer.apply(gradients, self.generator.trainable_weights)
        return {"critic": critic_loss, "generator": generator_loss, "noise": ops.sum(noise)}


def test_several_optimizers_and_noise_work_in_one_step() -> None:
    model = Adversaries()
    model.compile(optimizers.Adam(0.01), optimizers.SGD(0.01), losses.BinaryCrossentropy(from_logits=True))
    history = model.fit(X, batch_size=40, epochs=4, verbose=0).history
    assert not model._function("train").eager
    assert len(set(history["noise"])) == 4
    assert history["critic"][-1] < history["critic"][0]
    assert int(model.critic_optimizer.iterations) == int(model.generator_optimizer.iterations) == 4


def test_a_step_that_looks_at_values_runs_as_it_is_written(caplog: pytest.LogCaptureFixture) -> None:
    class Cautious(Plain):
        def train_step(self, data: Any) -> dict[str, Any]:
            return super().train_step(data) if float(ops.mean(data[1])) > 0 else {"loss": 0.0}

    model = _network(Cautious)
    model.compile(optimizers.Adam(0.01), "mse")
    model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    assert caplog.text.count("runs without a plan") == 1
    planned, _ = _trained(Plain, "mse")
    for a, b in zip(model.get_weights(), planned.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


# Parts of a step -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("takes_training", [True, False], ids=["with training", "without training"])
def test_an_overridden_loss_and_overridden_metrics_are_used(takes_training: bool) -> None:
    class Doubled(Model):
        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            return 2.0 * ops.mean(ops.square(y - y_pred))

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
            return {**super().compute_metrics(x, y, y_pred, sample_weight), "largest": ops.max(y_pred)}

    class Older(Doubled):
        def compute_loss(  # type: ignore[override]
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
        ) -> Any:
            return super().compute_loss(x, y, y_pred, sample_weight)

    model = _network(Doubled if takes_training else Older)
    model.compile("sgd", "mse", metrics=["mse"])
    values = model.evaluate(X, Y, batch_size=40, verbose=0, return_dict=True)
    assert values["loss"] == pytest.approx(2.0 * values["mse"], rel=1e-5)
    assert values["largest"] == pytest.approx(model.predict(X, verbose=0).max(), rel=1e-5)
    assert "largest" in model.fit(X, Y, verbose=0).history


def test_losses_of_one_s_own_are_functions_or_classes() -> None:
    class Quartic(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return ops.mean(ops.square(ops.square(y_true - y_pred)), axis=-1)

    def quartic(y_true: Any, y_pred: Any) -> Any:
        return ops.mean((y_true - y_pred) ** 4, axis=-1)

    values = []
    for loss in (Quartic(name="fourth"), quartic):
        model = _network(Model)
        model.compile("sgd", loss)
        values.append(model.evaluate(X, Y, sample_weight=WEIGHTS, batch_size=40, verbose=0))
    error = np.mean(np.mean((model.predict(X, verbose=0) - Y) ** 4, axis=-1) * WEIGHTS)
    assert values == pytest.approx([error, error], rel=1e-4)


def test_a_metric_of_one_s_own_keeps_state_over_batches_and_is_reset_between_epochs() -> None:
    class Largest(metrics.Metric):
        def __init__(self, name: str = "largest", **kwargs: Any) -> None:
            super().__init__(name=name, **kwargs)
            self.seen = self.add_weight(shape=(), initializer="zeros", name="seen")
            self.batches = self.add_variable((), initializer="zeros", dtype="int32", name="batches")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.seen.assign(ops.maximum(self.seen, ops.max(y_true)))
            self.batches.assign_add(1)

        def result(self) -> Any:
            return {"largest": self.seen, "batches": self.batches}

    model = _network(Model)
    model.compile("sgd", "mse", metrics=[Largest()])
    history = model.fit(X, Y, batch_size=8, epochs=2, verbose=0).history
    assert history["batches"] == [5.0, 5.0]
    assert history["largest"] == pytest.approx([Y.max()] * 2)


def test_a_layer_of_one_s_own_keeps_state_that_steps_change() -> None:
    class Counting(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
            self.calls = self.add_weight((), "zeros", dtype="int32", trainable=False, name="calls")

        def call(self, inputs: Any, training: bool = False) -> Any:
            if training:
                self.calls.assign_add(1)
            return inputs * self.scale

    model = Sequential([Input((6,)), Counting(), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=8, verbose=0)
    model.evaluate(X, Y, verbose=0)
    assert int(model.layers[0].calls) == 5
    assert not np.array_equal(model.layers[0].scale.numpy(), np.ones(6))


def test_predictions_of_one_s_own() -> None:
    class Rounded(Model):
        def predict_step(self, data: Any) -> Any:
            x, _, _ = unpack_x_y_sample_weight(data)
            return ops.round(self(x, training=False))

    model = _network(Rounded)
    np.testing.assert_array_equal(model.predict(X, verbose=0), np.round(np.asarray(model(X))))


def test_a_training_loop_of_one_s_own_learns() -> None:
    model, optimizer, loss_function = _network(Model), optimizers.Adam(0.05), losses.MeanSquaredError()
    seen = []
    for _ in range(20):
        with engine.GradientTape() as tape:
            loss = loss_function(Y, model(X, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        seen.append(float(loss))
    assert seen[-1] < 0.5 * seen[0]
