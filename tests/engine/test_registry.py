"""The closed registry: what it finds, what it refuses, what it writes and reads."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from engine import layers, ops
from engine.registry import (
    CustomObjectScope,
    deserialize,
    find,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    retrieve,
    serialize,
    sharing,
)
from tests.engine.keras_reference import as_json, keras


@pytest.mark.parametrize(
    ("module", "name", "found"),
    [
        ("keras.layers", "Dense", layers.Dense),
        ("keras.src.layers.core.dense", "Dense", layers.Dense),
        ("tf_keras.layers", "Dense", layers.Dense),
        ("keras.engine.input_layer", "InputLayer", layers.InputLayer),
        (None, "Dense", layers.Dense),
        ("keras.layers", "Add", layers.Add),
        ("keras.src.ops.numpy", "Add", ops.add.operation),
        ("keras.layers", "Softmax", layers.Softmax),
        ("keras.src.ops.nn", "Softmax", ops.softmax.operation),
    ],
)
def test_names_are_found_by_their_kind_wherever_keras_put_the_file(module: str | None, name: str, found: Any) -> None:
    assert find(name, module) is found


def test_losses_and_metrics_of_one_name_are_kept_apart() -> None:
    loss, metric = find("MeanSquaredError", "keras.losses"), find("MeanSquaredError", "keras.metrics")
    assert loss is not metric
    assert "losses" in loss.__module__
    assert "metrics" in metric.__module__


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("keras.layers", "TFSMLayer"),
        ("keras.src.utils", "get_file"),
        ("builtins", "eval"),
        ("x.y", "Dense"),
    ],
)
def test_foreign_names_are_refused_and_nothing_is_imported(module: str, name: str) -> None:
    before = set(sys.modules)
    config = {"module": module, "class_name": name, "config": {}, "registered_name": name}
    with pytest.raises(TypeError, match=f"'{name}' of module '{module}'.*register_keras_serializable"):
        deserialize(config)
    assert set(sys.modules) == before


def test_functions_are_not_called_in_place_of_classes() -> None:
    config = {"module": "keras.activations", "class_name": "relu", "config": {}, "registered_name": None}
    with pytest.raises(TypeError, match=r"'relu'.*from_config"):
        deserialize(config)


def test_lambdas_are_neither_written_nor_read() -> None:
    with pytest.raises(ValueError, match="lambda"):
        serialize(lambda x: x)
    marshalled = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
    with pytest.raises(ValueError, match="nothing was run"):
        deserialize(marshalled)
    with pytest.raises(ValueError, match="nothing was run"):
        deserialize({**as_json(serialize(layers.Activation("relu"))), "config": {"activation": marshalled}})


VALUES = [
    None, 1, 2.5, "text", True, [1, [2, None]], {"a": {"b": (1, 2)}}, b"bytes", slice(1, None, 2), ...,
    np.arange(6, dtype=np.int16).reshape(2, 3),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_written_as_keras_writes_them_and_come_back(value: Any) -> None:
    config = serialize(value)
    assert as_json(config) == as_json(keras.saving.serialize_keras_object(value))
    again = deserialize(config)
    np.testing.assert_equal(again, value)


def test_tensors_come_back_as_tensors() -> None:
    tensor = ops.convert_to_tensor([[0.5, 1.5]])
    again = deserialize(as_json(serialize(tensor)))
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again.numpy(), [[0.5, 1.5]])


@register_keras_serializable("beagle_tests", "Twice")
class Doubling(layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs * 2


@register_keras_serializable("beagle_tests")
def cube(x: Any) -> Any:
    return x * x * x


def test_the_users_classes_travel_by_their_registered_name() -> None:
    config = as_json(serialize(Doubling(name="d")))
    assert config["registered_name"] == "beagle_tests>Twice"
    assert get_registered_name(Doubling) == "beagle_tests>Twice"
    assert get_registered_object("beagle_tests>Twice") is Doubling
    again = deserialize(config)
    assert isinstance(again, Doubling)
    assert again.name == "d"


def test_the_users_functions_travel_as_activations() -> None:
    layer = layers.Dense(2, activation=cube)
    config = as_json(layer.get_config())
    assert config["activation"]["config"] == "beagle_tests>cube"
    assert layers.Dense.from_config(config).activation is cube


def test_custom_objects_win_in_their_scope_only() -> None:
    class Dense(layers.Dense):
        pass

    config = serialize(layers.Dense(2))
    assert isinstance(deserialize(config, custom_objects={"Dense": Dense}), Dense)
    with CustomObjectScope({"Dense": Dense}):
        assert isinstance(deserialize(config), Dense)
    assert type(deserialize(config)) is layers.Dense


def test_classes_without_a_config_cannot_be_registered() -> None:
    with pytest.raises(ValueError, match="get_config"):
        register_keras_serializable()(type("Bare", (), {}))


def test_shared_objects_stay_shared() -> None:
    shared = layers.Dense(3)
    with sharing():
        configs = as_json([serialize(shared), serialize(layers.Dense(1)), serialize(shared)])
    assert configs[0]["shared_object_id"] == configs[2]["shared_object_id"]
    assert "shared_object_id" not in configs[1]
    policies = [config["config"]["dtype"].get("shared_object_id") for config in configs]
    assert len(set(policies)) == 1
    assert policies[0] not in (None, configs[0]["shared_object_id"])
    with sharing():
        first, other, second = (deserialize(config) for config in configs)
    assert first is second
    assert first is not other


def test_configs_without_sharing_hold_no_ids() -> None:
    assert "shared_object_id" not in repr(serialize([layers.Dense(3), layers.Dense(3)]))


def test_unknown_arguments_in_a_config_name_the_class() -> None:
    config = serialize(layers.Dense(3))
    config["config"]["colour"] = "red"
    with pytest.raises(ValueError, match=r"Dense.*colour"):
        deserialize(config)


def test_retrieve_says_how_to_register() -> None:
    with pytest.raises(TypeError, match=r"custom_object_scope"):
        retrieve("Attention9", "my.package", "mine>Attention9")
