"""`.h5` files: whole models and weights of Keras 2 and of Keras 3's old writer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import engine
from tests.engine.keras_reference import as_json, keras
from tests.engine.saving.architectures import ARCHITECTURES, Architecture, randomise
from tests.engine.saving.archives import members_of, small_archive, small_model, write_members

TRAVELLERS = [
    item
    for item in ARCHITECTURES
    if item.name in ("unnamed_input", "residual", "several_as_dictionaries", "shared_layer", "nested", "frozen")
]


def write_layers(group: h5py.Group, layers: Mapping[str, Mapping[str, Any]], version: str | None = "2.4.0") -> None:
    """What Keras 2 wrote of layers: by layer name, by weight name, the values."""
    group.attrs["layer_names"] = [name.encode() for name in layers]
    group.attrs["backend"] = b"tensorflow"
    if version is not None:
        group.attrs["keras_version"] = version.encode()
    for name, weights in layers.items():
        inner = group.create_group(name)
        inner.attrs["weight_names"] = [weight.encode() for weight in weights]
        for weight, value in weights.items():
            inner.create_dataset(weight, data=value)


def weights_of(model: Any) -> dict[str, dict[str, Any]]:
    """A model's layers as `write_layers` takes them."""
    return {
        layer.name: {f"{layer.name}/{weight.name}:0": np.asarray(weight.numpy()) for weight in _in_file_order(layer)}
        for layer in model.layers
    }


def _in_file_order(layer: Any) -> list[Any]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def small_weights(path: Path, change: Callable[[dict[str, dict[str, Any]]], Any] | None = None) -> Path:
    """The weights of the small model, as Keras 2 wrote them, the layers given to `change` before."""
    layers = weights_of(small_model())
    if change is not None:
        change(layers)
    with h5py.File(path, "w") as file:
        write_layers(file, layers)
    return path


def emptied(model: Any) -> Any:
    """The model with ones in place of its weights."""
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    return model


def assert_small(model: Any) -> None:
    for left, right in zip(model.get_weights(), small_model().get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def whole_model(path: Path, config: Any, layers: Mapping[str, Mapping[str, Any]], **attributes: Any) -> Path:
    """A whole model as Keras 2 wrote it."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.4.0"
        file.attrs["model_config"] = json.dumps(config).encode()
        for name, value in attributes.items():
            file.attrs[name] = json.dumps(value).encode()
        write_layers(file.create_group("model_weights"), layers)
    return path


DENSE: dict[str, Any] = {"name": "first", "units": 2, "activation": "relu", "dtype": "float32", "trainable": True}
DENSE_WEIGHTS = {
    "first/kernel:0": np.arange(6, dtype=np.float32).reshape(3, 2),
    "first/bias:0": np.array([1, -50], np.float32),
}


def dense_model(path: Path, **attributes: Any) -> Path:
    """One layer that knows its input, in a list: a sequence of the first versions of Keras 2."""
    entry = {"class_name": "Dense", "config": {**DENSE, "batch_input_shape": [None, 3]}}
    return whole_model(path, {"class_name": "Sequential", "config": [entry]}, {"first": DENSE_WEIGHTS}, **attributes)


# Whole models -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", TRAVELLERS, ids=lambda item: item.name)
def test_a_model_in_kerass_old_format_opens_with_its_layers_and_weights(
    architecture: Architecture, tmp_path: Path
) -> None:
    model = architecture.make(keras)
    randomise(model)
    for name in ("m.h5", "m.keras"):
        model.save(tmp_path / name)
    opened = engine.models.load_model(tmp_path / "m.h5")
    assert [layer.name for layer in opened.layers] == [layer.name for layer in model.layers]
    assert [layer.trainable for layer in opened.layers] == [layer.trainable for layer in model.layers]
    for left, right in zip(model.get_weights(), opened.get_weights(), strict=True):
        np.testing.assert_array_equal(right, np.asarray(left))
    assert as_json(opened.get_config()) == as_json(engine.models.load_model(tmp_path / "m.keras").get_config())


@pytest.mark.parametrize("architecture", TRAVELLERS, ids=lambda item: item.name)
def test_our_old_format_opens_in_keras_and_here_with_its_layers_and_weights(
    architecture: Architecture, tmp_path: Path
) -> None:
    model = architecture.make(engine)
    randomise(model)
    model.save(tmp_path / "m.h5")
    for library in (engine, keras):
        opened = library.models.load_model(tmp_path / "m.h5")
        assert [layer.name for layer in opened.layers] == [layer.name for layer in model.layers]
        for left, right in zip(model.get_weights(), opened.get_weights(), strict=True):
            np.testing.assert_array_equal(np.asarray(right), left)


def test_many_names_are_cut_into_several_attributes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("engine.saving.legacy.writing.ATTRIBUTE_LIMIT", 12)
    small_model().save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert {"layer_names0", "layer_names1"} <= set(file["model_weights"].attrs)
    assert_small(engine.models.load_model(tmp_path / "m.h5"))


def test_a_network_of_keras_2_computes_what_keras_computes(test_data: Path) -> None:
    model = engine.models.load_model(test_data / "keras" / "resnet8_cifar10.h5")
    x = (np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3) * 37 % 251).astype(np.float32)
    expected = np.zeros((2, 10))  # by Keras 3.15 on JAX
    expected[:, 2], expected[:, 3], expected[:, 6] = (0.00039, 0.001), (0.000007, 0.000005), (0.999603, 0.998995)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)
    assert model.optimizer.get_config()["learning_rate"] == pytest.approx(6.6368516e-06)
    assert model.evaluate(x, np.eye(10)[:2], verbose=0, return_dict=True).keys() == {"accuracy", "loss"}


def test_models_of_keras_2_open_from_the_real_files_with_every_weight(test_data: Path) -> None:
    opened = 0
    for path in sorted((test_data / "keras" / "h5").glob("*.h5")):
        with h5py.File(path) as file:
            if "model_config" not in file.attrs:
                continue
            groups = [file["model_weights"][name] for name in file["model_weights"].attrs["layer_names"]]
            saved = [group[name][()] for group in groups for name in group.attrs["weight_names"]]
        weights = engine.models.load_model(path).get_weights()
        for left, right in zip(weights, saved, strict=True):
            np.testing.assert_array_equal(left, right)
        opened += 1
    assert opened == 12


def test_a_recurrent_network_of_keras_2_computes_with_the_sigmoid_of_its_time(test_data: Path) -> None:
    path = test_data / "keras" / "h5" / "simple_lstm_tf_keras_2_model.h5"
    model = engine.models.load_model(path)
    x = np.linspace(-3, 3, 25).reshape(25, 1, 1)
    kernel, _, bias, dense, offset = model.get_weights()
    gate_in, _, candidate, gate_out = np.split(x[:, 0] @ kernel + bias, 4, axis=1)  # the state is zero at first
    cell = np.clip(0.2 * gate_in + 0.5, 0, 1) * np.tanh(candidate)
    expected = np.clip(0.2 * gate_out + 0.5, 0, 1) * np.tanh(cell) @ dense + offset
    np.testing.assert_allclose(model.predict(x, batch_size=25, verbose=0), expected, rtol=1e-5, atol=1e-5)


def test_the_first_layers_input_shape_becomes_the_models(tmp_path: Path) -> None:
    model = engine.models.load_model(dense_model(tmp_path / "m.h5"))
    assert model.input_shape == (None, 3)
    # (1, 2, 3) · kernel + bias, by hand
    np.testing.assert_array_equal(model.predict(np.array([[1.0, 2.0, 3.0]]), verbose=0), [[17.0, 0.0]])


def test_calls_of_keras_2_are_followed_through_nested_models(tmp_path: Path) -> None:
    def entry(kind: str, config: dict[str, Any], *nodes: Any) -> dict[str, Any]:
        return {"class_name": kind, "name": config["name"], "config": config, "inbound_nodes": list(nodes)}

    def placeholder(name: str, length: int | None = 3) -> dict[str, Any]:
        config = {
            "name": name,
            "batch_input_shape": [None, length],
            "dtype": "float32",
            "sparse": False,
            "ragged": False,
        }
        return entry("InputLayer", config)

    twice = {"name": "body", "layers": [placeholder("c", None), {"class_name": "ReLU", "config": {"name": "positive"}}]}
    inner = {
        "name": "inner",
        "layers": [placeholder("b"), entry("Dense", DENSE, [["b", 0, 0, {}]])],
        "input_layers": [["b", 0, 0]],
        "output_layers": [["first", 0, 0]],
    }
    config = {
        "name": "model",
        "layers": [
            placeholder("a"),
            entry("Functional", inner, [["body", 1, 0, {"training": False}]]),
            entry("Sequential", twice, [["a", 0, 0, {}]], [["sum", 0, 0, {}]]),
            entry("Add", {"name": "sum"}, [["inner", 1, 0, {}], ["inner", 1, 0, {}]]),
        ],
        "input_layers": [["a", 0, 0]],
        "output_layers": [["body", 2, 0]],
    }
    path = whole_model(tmp_path / "m.h5", {"class_name": "Model", "config": config}, {"inner": DENSE_WEIGHTS})
    model = engine.models.load_model(path)
    np.testing.assert_array_equal(model.predict(np.array([[1.0, -2.0, 3.0]]), verbose=0), [[26.0, 0.0]])


def test_an_archive_of_keras_2_opens(tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    config = json.loads(members["config.json"])
    placeholder, *layers = config["config"]["layers"]
    placeholder["config"]["batch_input_shape"] = placeholder["config"].pop("batch_shape")
    for entry in layers:
        entry["config"]["dtype"] = "float32"
    layers[1]["config"].update(axis=[3], fused=True)
    config["compile_config"] = {
        "optimizer": {
            "module": "keras.optimizers",
            "class_name": "Adam",
            "config": {"learning_rate": 0.25, "jit_compile": True, "is_legacy_optimizer": False},
            "registered_name": None,
        },
        "loss": "mse",
        "metrics": None,
    }
    metadata = {"keras_version": "2.15.0", "date_saved": "2024-01-01@00:00:00"}
    changed = {**members, "metadata.json": json.dumps(metadata).encode(), "config.json": json.dumps(config).encode()}
    model = engine.models.load_model(write_members(tmp_path / "old.keras", changed))
    assert_small(model)
    assert float(model.optimizer.learning_rate) == 0.25


# Weights ----------------------------------------------------------------------------------------------------------


def test_weights_are_read_in_order_whatever_the_layers_are_called(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5", lambda layers: layers.update(another=layers.pop("last")))
    model = emptied(small_model())
    model.load_weights(path)
    assert_small(model)


def test_lists_that_were_cut_into_parts_are_joined(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5")
    with h5py.File(path, "r+") as file:
        for holder, attribute in ((file, "layer_names"), (file["normal"], "weight_names")):
            names = holder.attrs[attribute]
            del holder.attrs[attribute]
            holder.attrs[f"{attribute}0"], holder.attrs[f"{attribute}1"] = names[:1], names[1:]
    model = emptied(small_model())
    model.load_weights(path)
    assert_small(model)


def test_a_whole_models_file_gives_its_weights_alone(tmp_path: Path) -> None:
    model = engine.Sequential([engine.Input((3,)), engine.layers.Dense(2)])
    model.load_weights(dense_model(tmp_path / "m.h5"))
    np.testing.assert_array_equal(model.get_weights()[1], [1, -50])


def test_the_format_is_told_by_what_the_file_holds_not_by_its_name(tmp_path: Path) -> None:
    small_weights(tmp_path / "w.weights.h5")
    small_model().save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "m.weights.h5").rename(tmp_path / "m.h5")
    for name in ("w.weights.h5", "m.h5"):
        model = emptied(small_model())
        model.load_weights(tmp_path / name)
        assert_small(model)


def _inner(names: tuple[str, str] = ("d", "n")) -> Any:
    layers = engine.layers
    return engine.Sequential(
        [engine.Input((3,)), layers.Dense(3, name=names[0]), layers.BatchNormalization(name=names[1])], name="inner"
    )


def _outer(inner: Any) -> Any:
    return engine.Sequential([engine.Input((3,)), inner, engine.layers.Dense(3, name="last")])


@pytest.mark.parametrize("frozen", ["nothing", "d", "n"])
@pytest.mark.parametrize("names", [("d", "n"), ("other", "names")])
def test_a_nested_model_gets_its_weights_whatever_was_frozen(
    frozen: str, names: tuple[str, str], tmp_path: Path
) -> None:
    model = _outer(_inner())
    values = [np.full(weight.shape, number, np.float32) for number, weight in enumerate(model.get_weights())]
    model.set_weights(values)
    if frozen != "nothing":
        model.layers[0].get_layer(frozen).trainable = False
    layers = weights_of(model)
    layers["inner"] = {f"{weight.path}:0": weight.numpy() for weight in _in_file_order(model.layers[0])}
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_layers(file, layers)
    fresh = _outer(_inner(names))
    if frozen == "d" and names != ("d", "n"):
        with pytest.raises(ValueError, match="freeze the same layers"):
            fresh.load_weights(tmp_path / "w.h5")
        fresh.layers[0].layers[0].trainable = False
    fresh.load_weights(tmp_path / "w.h5")
    for left, right in zip(fresh.get_weights(), values, strict=True):
        np.testing.assert_array_equal(left, right)


def test_kernels_of_theano_are_turned_around(tmp_path: Path) -> None:
    model = small_model()
    model.set_weights([np.arange(weight.size).reshape(weight.shape) for weight in model.get_weights()])
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_layers(file, weights_of(model))
        file.attrs["backend"] = b"theano"
    read = small_model()
    read.load_weights(tmp_path / "w.h5")
    np.testing.assert_array_equal(read.get_weights()[0], model.get_weights()[0][::-1, ::-1])
    for left, right in zip(read.get_weights()[1:], model.get_weights()[1:], strict=True):
        np.testing.assert_array_equal(left, right)


def test_by_name_takes_the_layers_that_the_file_knows_and_leaves_the_others(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5", lambda layers: layers.update(another=layers.pop("last")))
    model = emptied(small_model())
    model.load_weights(path, by_name=True)
    np.testing.assert_array_equal(model.get_layer("first").get_weights()[0], small_model().get_weights()[0])
    np.testing.assert_array_equal(model.get_layer("last").get_weights()[0], 1.0)


def test_by_name_without_any_common_name_is_an_error(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5")
    model = engine.Sequential([engine.Input((3,)), engine.layers.Dense(2, name="other")])
    with pytest.raises(ValueError, match="no layer of the model; it has first, normal, flat, last"):
        model.load_weights(path, by_name=True)


def test_by_name_is_refused_for_files_of_keras_3(tmp_path: Path) -> None:
    small_model().save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="by_name=True"):
        small_model().load_weights(tmp_path / "m.weights.h5", by_name=True)


def _misfit(layers: dict[str, dict[str, Any]]) -> None:
    layers["first"]["first/kernel:0"] = np.zeros((3, 3, 1, 4), np.float32)
    del layers["last"]["last/bias:0"]


def test_every_mismatch_is_listed_and_nothing_changes(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5", _misfit)
    model = emptied(small_model())
    with pytest.raises(ValueError, match="2 mismatches") as caught:
        model.load_weights(path)
    text = str(caught.value)
    assert "first/kernel has shape (3, 3, 1, 2), the saved first/kernel:0 (3, 3, 1, 4)" in text
    assert "'last' expects 2 weights" in text
    assert "last/bias" in text
    assert all(np.all(weight == 1.0) for weight in model.get_weights())


def test_mismatches_are_skipped_where_that_is_asked_for(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5", _misfit)
    model = emptied(small_model())
    with pytest.warns(UserWarning, match="2 mismatches"):
        model.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(model.get_layer("first").get_weights()[0], 1.0)
    np.testing.assert_array_equal(model.get_layer("first").get_weights()[1], small_model().get_weights()[1])


def test_weights_that_the_file_lists_nowhere_are_named(tmp_path: Path) -> None:
    path = small_weights(tmp_path / "w.h5")
    with h5py.File(path, "r+") as file:
        file["last/more"] = file["forgotten/kernel:0"] = np.zeros(3)
    with pytest.raises(ValueError, match="lists names: forgotten/kernel:0, last/more"):
        small_model().load_weights(path)
    small_model().load_weights(path, by_name=True)


def test_layers_left_over_are_named_on_both_sides(tmp_path: Path) -> None:
    path = small_weights(
        tmp_path / "w.h5", lambda layers: (layers.pop("normal"), layers.update(end=layers.pop("last")))
    )
    with pytest.raises(ValueError, match="3 layers with weights, the file 2") as caught:
        small_model().load_weights(path)
    assert "only the model has normal, last" in str(caught.value)
    assert "only the file has end" in str(caught.value)


def test_a_model_that_is_not_built_says_so(tmp_path: Path) -> None:
    model = engine.Sequential([engine.layers.Dense(2)])
    with pytest.raises(ValueError, match="not built"):
        model.load_weights(dense_model(tmp_path / "m.h5"))


# Training ---------------------------------------------------------------------------------------------------------


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
