"""Models as structures: building, growing, layers by name, summaries, misuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import Input, Model, Sequential, layers
from engine.models import Functional


def test_a_sequential_model_without_input_is_built_by_its_first_call() -> None:
    model = Sequential([layers.Dense(3), layers.Dense(2)])
    assert not model.built
    assert model.weights == []
    assert model(np.ones((4, 5), np.float32)).shape == (4, 2)
    assert model.input_shape == (None, 5)
    assert [variable.shape for variable in model.weights] == [(5, 3), (3,), (3, 2), (2,)]


def test_a_sequential_model_grows_and_shrinks() -> None:
    model = Sequential()
    model.add(Input((4,)))
    model.add(layers.Dense(3))
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    removed = model.pop()
    assert removed.units == 2
    assert model.output_shape == (None, 3)
    assert len(model.layers) == 1


def test_variables_are_named_after_the_models_around_them() -> None:
    model = Sequential([Input((4,)), layers.Dense(3, name="d")], name="s")
    assert [variable.path for variable in model.weights] == ["s/d/kernel", "s/d/bias"]


def test_layers_are_found_by_name_and_number() -> None:
    model = Sequential([Input((4,)), layers.Dense(3, name="first"), layers.Dense(2, name="second")])
    assert model.get_layer("second") is model.layers[1]
    assert model.get_layer(index=0).name == "first"
    with pytest.raises(ValueError, match=r"'third'.*first, second"):
        model.get_layer("third")
    with pytest.raises(ValueError, match="2 layers"):
        model.get_layer(index=5)


def test_a_model_from_the_middle_of_another_shares_its_layers() -> None:
    inputs = Input((4,))
    hidden = layers.Dense(3)(inputs)
    outputs = layers.Dense(2)(hidden)
    whole, head, tail = Model(inputs, outputs), Model(inputs, hidden), Model(hidden, outputs)
    x = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(np.asarray(tail(head(x))), np.asarray(whole(x)), rtol=1e-6)
    assert {id(v) for v in tail.weights} < {id(v) for v in whole.weights}


def test_a_layer_called_twice_gets_both_gradients() -> None:
    shared = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    a, b = Input((2,)), Input((2,))
    model = Model([a, b], layers.Add()([shared(a), shared(b)]))
    model.compile("sgd", "mse")
    x = np.ones((1, 2), np.float32)
    model.fit([x, x], np.array([[3.0]], np.float32), verbose=0)
    # d/dw (2·(w·x) − 3)² at w=1: 2·(4 − 3)·2 = 4 for each entry; the step is 0.01.
    np.testing.assert_allclose(shared.kernel.numpy(), 0.96, rtol=1e-5)


def test_inputs_may_be_given_by_name_to_a_model_of_a_list() -> None:
    a, b = Input((2,), name="a"), Input((2,), name="b")
    model = Model([a, b], layers.Subtract()([a, b]))
    ones, zeros = np.ones((1, 2), np.float32), np.zeros((1, 2), np.float32)
    np.testing.assert_array_equal(np.asarray(model({"b": ones, "a": zeros})), -1.0)


def test_a_subclass_that_gives_inputs_and_outputs_is_functional_and_keeps_its_methods() -> None:
    class Named(Model):
        def __init__(self, units: int) -> None:
            inputs = Input((4,))
            super().__init__(inputs, layers.Dense(units)(inputs), name="named")

        def greet(self) -> str:
            return f"{self.name} of {self.output_shape}"

    model = Named(3)
    assert isinstance(model, Functional)
    assert model.greet() == "named of (None, 3)"
    assert model(np.ones((2, 4), np.float32)).shape == (2, 3)


def test_training_reaches_dropout_and_can_be_pinned_at_a_call() -> None:
    inputs = Input((1000,))
    model = Model(inputs, [layers.Dropout(0.5)(inputs), layers.Dropout(0.5)(inputs, training=True)])
    x = np.ones((1, 1000), np.float32)
    free, pinned = (np.asarray(value) for value in model(x))
    np.testing.assert_array_equal(free, x)
    assert 300 < np.count_nonzero(pinned) < 700
    assert 300 < np.count_nonzero(np.asarray(model(x, training=True)[0])) < 700


def test_freezing_a_model_reaches_its_layers() -> None:
    inner = Sequential([Input((4,)), layers.Dense(3)])
    model = Sequential([Input((4,)), inner, layers.Dense(2)])
    inner.trainable = False
    assert len(model.trainable_variables) == 2
    assert model.get_config()["layers"][1]["config"]["trainable"] is False


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Model(Input((4,)), Input((3,))), "not among the model's inputs"),
        (lambda: Model(np.ones(3), Input((3,))), "placeholders"),
        (lambda: Sequential([layers.Dense(2, name="a"), layers.Dense(2, name="a")]), "'a'"),
        (lambda: Sequential([3]), "Only layers"),
        (lambda: Sequential([Input((4,)), layers.Conv2D(2, 3)]), "expected min_ndim=4|expected ndim=4"),
        (lambda: Sequential().build((None, 3)), "no layers"),
        (lambda: Sequential().pop(), "no layer"),
        (lambda: Model(3), "inputs and outputs"),
    ],
)
def test_misuse_is_named(make: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        make()


def test_two_layers_of_one_name_are_refused() -> None:
    inputs = Input((4,), name="same")
    with pytest.raises(ValueError, match="'same'"):
        Model(inputs, layers.Dense(2, name="same")(inputs))


def test_a_config_that_cannot_be_followed_is_refused() -> None:
    inputs = Input((4,), name="x")
    config = Model(inputs, layers.Dense(2, name="d")(inputs)).get_config()
    config["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = ["d", 0, 0]
    with pytest.raises(ValueError, match="'d' never come to be"):
        Functional.from_config(config)


def test_keras_2_configs_are_understood() -> None:
    node = [[["x", 0, 0, {}]]]
    dense = {"class_name": "Dense", "name": "d", "inbound_nodes": node, "config": {"name": "d", "units": 2}}
    inputs = {"class_name": "InputLayer", "name": "x", "inbound_nodes": []}
    inputs["config"] = {"batch_input_shape": [None, 4], "dtype": "float32", "name": "x"}
    config = {"name": "old", "layers": [inputs, dense], "input_layers": [["x", 0, 0]], "output_layers": [["d", 0, 0]]}
    assert Functional.from_config(config).output_shape == (None, 2)


# Summaries -----------------------------------------------------------------------------------------------------------


def test_a_summary_lists_layers_shapes_and_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential([Input((28, 28, 1)), layers.Conv2D(4, 3, name="conv"), layers.Flatten(), layers.Dense(10)])
    model.summary()
    text = capsys.readouterr().out
    assert "conv (Conv2D)" in text
    assert "(None, 26, 26, 4)" in text
    assert f"Total params: {model.count_params():,}" in text
    assert "Connected to" not in text
    assert "\x1b" not in text


def test_a_summary_of_branches_says_what_is_connected() -> None:
    a, b = Input((2,), name="a"), Input((2,), name="b")
    lines: list[str] = []
    Model([a, b], layers.Add(name="sum")([a, b])).summary(print_fn=lines.append)
    assert "Connected to" in lines[0]
    assert "a[0][0]" in lines[0]


def test_a_summary_of_an_unbuilt_model_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Sequential([layers.Dense(2)]).summary()
    assert "unbuilt" in capsys.readouterr().out


def test_a_summary_counts_an_optimizer_s_state_once_there_is_some(capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential([Input((4,)), layers.Dense(2)])
    model.compile("adam", "mse")
    model.summary()
    assert "Optimizer params" not in capsys.readouterr().out
    model.fit(np.ones((2, 4), np.float32), np.ones((2, 2), np.float32), verbose=0)
    model.summary()
    assert "Optimizer params: 22 (" in capsys.readouterr().out
