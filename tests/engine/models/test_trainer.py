"""Training: sources of batches, reproducibility, losses of one's own, errors that say what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import Input, Model, Sequential, layers, ops
from engine.callbacks import LambdaCallback
from engine.random import set_random_seed
from engine.utils import PyDataset

_rng = np.random.default_rng(0)
X = _rng.random((40, 6)).astype(np.float32)
Y = (X @ _rng.random((6, 2))).astype(np.float32)


def regression(dropout: float = 0.0, optimizer: Any = "adam") -> Sequential:
    model = Sequential([Input((6,)), layers.Dense(8, activation="relu"), layers.Dropout(dropout), layers.Dense(2)])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


class Numbered(PyDataset):
    """Batches by number, which notes its epochs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.epochs = 0

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        rows = slice(index * 10, index * 10 + 10)
        return X[rows], Y[rows]

    def on_epoch_end(self) -> None:
        self.epochs += 1


# Reproducibility -----------------------------------------------------------------------------------------------------


def _seeded() -> Sequential:
    set_random_seed(7)
    return regression(dropout=0.3)


def test_a_program_with_a_seed_gives_the_same_weights_each_time() -> None:
    runs = []
    for _ in range(2):
        model = _seeded()
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
        runs.append(model.get_weights())
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_saved_loaded_and_continued_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = _seeded()
    whole.fit(X, Y, batch_size=8, epochs=4, verbose=0)
    first = _seeded()
    first.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    first.save(tmp_path / "half.keras")
    _seeded()  # a new process makes the same draws before it loads
    set_random_seed(7)
    resumed = engine.models.load_model(tmp_path / "half.keras")
    resumed.fit(X, Y, batch_size=8, epochs=4, initial_epoch=2, verbose=0)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_come_in_another_order_every_epoch_and_each_once() -> None:
    seen: list[np.ndarray[Any, Any]] = []

    class Noting(Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            seen.append(np.asarray(data[0])[:, 0])
            return super().train_step(data)

        def call(self, inputs: Any) -> Any:
            return inputs * self.factor

        def build(self, input_shape: Any) -> None:
            self.factor = self.add_weight((), "ones", name="factor")

    model = Noting()
    model.compile("sgd", "mse", run_eagerly=True)
    rows = np.arange(10, dtype=np.float32)[:, None]
    model.fit(rows, rows, batch_size=4, epochs=2, verbose=0)
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second)


def test_plans_and_eager_steps_give_the_same_weights() -> None:
    results = []
    for eagerly in (False, True):
        model = _seeded()
        model.run_eagerly = eagerly
        model.fit(X, Y, batch_size=8, verbose=0)
        assert model._function("train").eager is eagerly
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


# Sources of batches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"workers": 3}, {"workers": 2, "max_queue_size": 1}], ids=["alone", "threads", "short queue"]
)
def test_a_dataset_by_number_trains_as_its_arrays_do(options: dict[str, Any]) -> None:
    set_random_seed(1)
    by_number, by_arrays = regression(), regression()
    by_number.set_weights(by_arrays.get_weights())
    source = Numbered(**options)
    by_number.fit(source, epochs=2, shuffle=False, verbose=0)
    by_arrays.fit(X, Y, batch_size=10, epochs=2, shuffle=False, verbose=0)
    assert source.epochs == 2
    for a, b in zip(by_number.get_weights(), by_arrays.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_dataset_in_processes_gives_its_batches_in_order() -> None:
    from engine.utils.py_dataset import batches

    source = Numbered(workers=2, use_multiprocessing=True)
    made = list(batches(source, [2, 0, 1]))
    for index, (x, _) in zip([2, 0, 1], made, strict=True):
        np.testing.assert_array_equal(x, X[index * 10 : index * 10 + 10])


def test_a_generator_goes_on_from_epoch_to_epoch() -> None:
    taken: list[int] = []

    def batches() -> Iterator[Any]:
        for number in range(7):
            taken.append(number)
            yield X[:4], Y[:4]

    history = regression().fit(batches(), epochs=2, steps_per_epoch=3, verbose=0)
    assert taken == [0, 1, 2, 3, 4, 5]
    assert len(history.history["loss"]) == 2


def test_a_generator_that_ends_early_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    regression().fit(iter([(X, Y)]), steps_per_epoch=5, verbose=0)
    assert "1 of 5" in caplog.text


def test_a_generator_that_has_run_out_ends_training_and_keeps_its_history(caplog: pytest.LogCaptureFixture) -> None:
    batches = iter([(X[:20], Y[:20]), (X[20:], Y[20:])])
    assert regression().fit(batches, epochs=3, verbose=0).epoch == [0]
    assert "epoch 2 of 3" in caplog.text


def test_a_validation_generator_that_has_run_out_ends_validation_alone(caplog: pytest.LogCaptureFixture) -> None:
    history = regression().fit(X, Y, epochs=3, validation_data=iter([(X, Y)]), verbose=0).history
    assert len(history["loss"]) == 3
    assert len(history["val_loss"]) == 1
    assert caplog.text.count("validation batches had none left for epoch 2") == 1


def test_lists_of_data_and_targets_count_as_pairs() -> None:
    source = ([X[:4], Y[:4]] for _ in range(3))
    history = regression().fit(source, validation_data=[X[:10], Y[:10]], verbose=0).history
    assert "val_loss" in history


def test_predictions_follow_what_compile_finds_changed() -> None:
    model = regression()
    before = model.predict(X, verbose=0)
    model.layers[-1].activation = ops.relu
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model.predict(X, verbose=0), np.maximum(before, 0), atol=1e-6)


def test_the_last_rows_are_for_validation() -> None:
    model = regression()
    history = model.fit(X, Y, validation_split=0.25, epochs=1, verbose=0)
    expected = model.evaluate(X[30:], Y[30:], verbose=0, return_dict=True)
    assert history.history["val_loss"][0] == pytest.approx(expected["loss"], rel=1e-6)
    assert history.params["steps"] == 1


def test_validation_may_come_every_second_epoch() -> None:
    history = regression().fit(X, Y, epochs=4, validation_data=(X, Y), validation_freq=2, verbose=0)
    assert len(history.history["loss"]) == 4
    assert len(history.history["val_loss"]) == 2


def test_predictions_do_not_depend_on_the_batch_size() -> None:
    model = regression()
    whole = model.predict(X, batch_size=40, verbose=0)
    np.testing.assert_allclose(model.predict(X, batch_size=7, verbose=0), whole, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(X), whole, atol=1e-6)
    np.testing.assert_allclose(np.asarray(model(X)), whole, atol=1e-6)


def test_nests_of_outputs_keep_their_form() -> None:
    inputs = Input((6,))
    model = Model(inputs, {"a": layers.Dense(2)(inputs), "b": [layers.Dense(1)(inputs)]})
    outputs = model.predict(X, batch_size=16, verbose=0)
    assert outputs["a"].shape == (40, 2)
    assert outputs["b"][0].shape == (40, 1)


def test_integers_and_doubles_are_brought_to_the_model_s_dtype() -> None:
    model = regression()
    codes = (X * 255).astype(np.uint8)
    np.testing.assert_allclose(model.predict(codes, verbose=0), model.predict(codes.astype(np.float64), verbose=0))


# Steps ---------------------------------------------------------------------------------------------------------------


def test_single_steps_go_on_with_the_metrics() -> None:
    model = regression(optimizer="sgd")
    first = model.train_on_batch(X, Y, return_dict=True)
    model.reset_metrics()
    second = model.train_on_batch(X, Y, return_dict=True)
    assert second["loss"] < first["loss"]
    assert model.test_on_batch(X, Y)[0] > 0


def test_losses_added_in_call_and_by_regularizers_count() -> None:
    class Penalised(layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(3.0 * ops.mean(inputs))
            return inputs

    inputs = Input((6,))
    hidden = layers.Dense(2, kernel_regularizer="l1", kernel_initializer="ones")(Penalised()(inputs))
    model = Model(inputs, hidden)
    model.compile("sgd", "mse")
    ones = np.ones((4, 6), np.float32)
    values = model.evaluate(ones, np.full((4, 2), 6.0, np.float32), verbose=0)
    assert values == pytest.approx(3.0 + 0.01 * 12)  # the prediction is right: only the additions are left


def test_frozen_layers_keep_their_weights_also_when_frozen_after_training() -> None:
    model = regression()
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = False
    frozen, others = model.layers[0].get_weights(), model.layers[-1].get_weights()
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], frozen[0])
    assert not np.array_equal(model.layers[-1].get_weights()[0], others[0])


def test_batches_given_one_by_one_see_what_was_frozen_between_them() -> None:
    model = Sequential([Input((6,)), layers.BatchNormalization(scale=False, center=False), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    model.layers[0].trainable = False  # which has nothing to train, but statistics that follow
    mean, kernel = model.layers[0].moving_mean.numpy(), model.layers[1].kernel.numpy()
    model.train_on_batch(X, Y)
    np.testing.assert_array_equal(model.layers[0].moving_mean.numpy(), mean)
    assert not np.array_equal(model.layers[1].kernel.numpy(), kernel)


def test_batches_given_one_by_one_see_layers_that_were_appended_between_them() -> None:
    class Growing(Model):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [layers.Dense(2)]

        def call(self, x: Any) -> Any:
            return sum(block(x) for block in self.blocks)

    model, late = Growing(), layers.Dense(2)
    late.build((None, 6))
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    model.blocks.append(late)
    with pytest.raises(ValueError, match="built for other variables"):  # rather than leaving them untrained
        model.train_on_batch(X, Y)


def test_a_network_that_is_broken_does_not_report_a_healthy_loss() -> None:
    model = Sequential(
        [Input((8, 8, 3)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(2, "softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    kernel, bias = model.layers[0].get_weights()
    model.layers[0].set_weights([np.full_like(kernel, np.nan), bias])
    history = model.fit(np.ones((8, 8, 8, 3), np.float32), np.zeros(8, np.int32), verbose=0)
    assert np.isnan(history.history["loss"][0])


def test_moving_statistics_follow_training_but_not_evaluation() -> None:
    model = Sequential([Input((6,)), layers.BatchNormalization(momentum=0.5), layers.Dense(2)])
    model.compile("sgd", "mse")
    mean = model.layers[0].moving_mean
    model.evaluate(X, Y, verbose=0)
    np.testing.assert_array_equal(mean.numpy(), 0.0)
    model.fit(X, Y, batch_size=40, verbose=0)
    np.testing.assert_allclose(mean.numpy(), X.mean(axis=0) / 2, rtol=1e-5)


def test_a_step_that_branches_on_data_runs_without_a_plan_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class Branching(Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            outputs = self.dense(inputs)
            return outputs if float(ops.sum(inputs)) > 0 else -outputs

    model = Branching()
    model.compile("sgd", "mse")
    history = model.fit(X, Y, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert caplog.text.count("runs without a plan") == 1


@pytest.mark.parametrize("ask", [lambda value: value.item(), lambda value: value.tolist()], ids=["item", "tolist"])
def test_asking_a_tensor_for_python_numbers_runs_without_a_plan(ask: Any) -> None:
    class Asking(Model):
        def call(self, inputs: Any) -> Any:
            return inputs * ask(ops.sum(inputs))

    np.testing.assert_allclose(Asking().predict(X, batch_size=40, verbose=0), X * X.sum(), rtol=1e-5)


def test_a_train_step_of_ones_own_gives_the_logs() -> None:
    class Doubling(Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            return {**super().train_step(data), "twice": 2.0 * ops.mean(data[1])}

    inputs = Input((6,))
    model = Doubling(inputs, layers.Dense(2)(inputs))
    model.compile("sgd", "mse")
    history = model.fit(X, Y, batch_size=40, verbose=0).history
    assert history["twice"][0] == pytest.approx(2.0 * Y.mean(), rel=1e-5)
    assert "loss" in history


def test_a_subclassed_model_is_built_by_its_first_batch_and_names_its_outputs() -> None:
    class Heads(Model):
        def __init__(self) -> None:
            super().__init__()
            self.zeta, self.alpha = layers.Dense(2), layers.Dense(3)

        def call(self, inputs: Any, training: Any = None) -> Any:
            return {"main": self.zeta(inputs), "aux": self.alpha(inputs)}

    model = Heads()
    assert model.weights == []
    model.compile("sgd", {"main": "mse", "aux": "mae"}, metrics={"main": ["mae"]})
    history = model.fit(X, {"main": Y, "aux": np.zeros((40, 3), np.float32)}, verbose=0).history
    assert sorted(history) == ["aux_loss", "loss", "main_loss", "main_mae"]
    assert list(model.saveable_children()) == ["alpha", "layers", "optimizer", "zeta"]


def test_stopping_from_a_callback_ends_the_epoch() -> None:
    model = regression()
    seen: list[int] = []

    def stop(batch: int, logs: Any) -> None:
        seen.append(batch)
        model.stop_training = batch == 1

    model.fit(X, Y, batch_size=8, epochs=5, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=stop)])
    assert seen == [0, 1]


# Errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: m.fit(X[:, :4], Y, verbose=0), r"expected shape=\(None, 6\).*\(32, 4\)"),
        (lambda m: m.fit(X, Y[:7], verbose=0), r"x: 40; y: 7"),
        (lambda m: m.fit(X, Y[:, :1].repeat(5, 1), verbose=0), r"\(32, 2\).*\(32, 5\)"),
        (lambda m: m.fit(X, verbose=0), "y is None"),
        (lambda m: m.fit(X, Y, validation_split=1.5, verbose=0), "1.5"),
        (lambda m: m.fit(Numbered(), Y, verbose=0), "y cannot be given"),
        (lambda m: m.fit(np.array([["a"]]), Y, verbose=0), "numbers"),
        (lambda m: m.fit(X, Y, batch_size=0, verbose=0), "batch_size"),
        (lambda m: m.predict([X, X], verbose=0), r"expects 1 input\(s\).*received 2"),
        (lambda m: m.fit({"wrong": X}, Y, verbose=0), "misses the input"),
        (lambda m: m.fit(X[:0], Y[:0], verbose=0), "no rows"),
    ],
)
def test_wrong_data_is_named(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call(regression())


def _classifier(**options: Any) -> Sequential:
    model = Sequential([Input((6,)), layers.Dense(3, activation="softmax", name="classes")])
    model.compile("sgd", engine.losses.SparseCategoricalCrossentropy(**options))
    return model


@pytest.mark.parametrize("wrong", [3, -1])
@pytest.mark.parametrize("call", ["fit", "evaluate", "train_on_batch"])
def test_class_numbers_that_are_no_class_are_named(call: str, wrong: int) -> None:
    labels = np.array([0, 1, 2, wrong])
    quiet = {} if call == "train_on_batch" else {"verbose": 0}
    with pytest.raises(ValueError, match=rf"has 3 classes.*from {min(wrong, 0)} to {max(wrong, 2)}"):
        getattr(_classifier(), call)(X[:4], labels, **quiet)


def test_the_ignored_class_may_be_any_number() -> None:
    model = _classifier(ignore_class=255)
    labels = np.array([0, 1, 2, 255])
    expected = model.evaluate(X[:3], labels[:3], verbose=0)
    assert model.evaluate(X[:4], labels, verbose=0) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="3 classes"):
        model.evaluate(X[:1], np.array([254]), verbose=0)


@pytest.mark.parametrize("step", ["train_step", "test_step"])
def test_a_step_of_ones_own_that_returns_nothing_is_refused(step: str) -> None:
    kind = type("Forgetful", (Sequential,), {step: lambda self, data: None})
    model = kind([Input((6,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=f"{step} must return a dict of names to values. Received: None"):
        (model.fit if step == "train_step" else model.evaluate)(X, Y, verbose=0)


@pytest.mark.parametrize("class_weight", [{-1: 1.0}, {"a": 1.0}, {0.5: 1.0}, {np.inf: 1.0}, {0: "x"}, "ab", [1.0]])
def test_class_weights_that_are_none_are_refused(class_weight: Any) -> None:
    model = regression()
    labels = np.zeros(40, np.int32)
    for train in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=r"class_weight: expected a dict from class number .* Received: "):
            train(X, labels, class_weight=class_weight)


def test_class_weights_need_classes_from_zero() -> None:
    with pytest.raises(ValueError, match=r"class numbers \(integers >= 0\) as targets. Received: -1"):
        regression().fit(X, np.full(40, -1), class_weight={0: 1.0}, verbose=0)


@pytest.mark.parametrize("shape", [(40, 2), (40, 3, 2)])
def test_class_weights_need_one_class_a_sample(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one class a sample"):
        regression().fit(X, np.ones(shape, np.int32), class_weight={0: 1.0, 1: 2.0}, verbose=0)


def test_an_uncompiled_model_says_so() -> None:
    with pytest.raises(ValueError, match=r"compile\(\)"):
        Sequential([Input((6,)), layers.Dense(2)]).fit(X, Y)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": "no_such_loss"}, "no_such_loss"),
        ({"optimizer": "no_such_optimizer"}, "no_such_optimizer"),
        ({"loss": "mse", "metrics": ["no_such_metric"]}, "no_such_metric"),
        ({"loss": {"elsewhere": "mse"}}, "elsewhere"),
        ({"loss": ["mse", "mse"]}, "one entry for each output"),
        ({"loss": "mse", "loss_weights": ["accuracy"]}, r"third argument.*'accuracy'.*metrics="),
        ({"loss": "mean_squared_eror"}, "Did you mean 'mean_squared_error'"),
    ],
)
def test_what_compile_cannot_use_is_named(options: dict[str, Any], said: str) -> None:
    model = regression()
    with pytest.raises(ValueError, match=said):
        model.compile(**options)
