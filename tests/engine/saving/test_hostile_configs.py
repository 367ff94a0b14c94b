"""Configs that ask for code, for foreign classes or for too much are refused by name, and nothing happens."""

from __future__ import annotations

import base64
import json
import marshal
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.models import load_model
from tests.engine.saving.archives import members_of, small_archive, with_config, with_layer, write_members

MEBIBYTE = 1 << 20


def _layer(name: str, module: str = "keras.layers", /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def _function(name: str, module: str = "builtins") -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": "function"}


MARK = "the_file_was_executed"
BYTECODE = base64.b64encode(marshal.dumps(compile(f"import sys; sys.{MARK} = True", "m", "exec"))).decode()
LAMBDA = {"class_name": "__lambda__", "config": {"value": BYTECODE}}

HOSTILE: dict[str, tuple[Any, str]] = {
    "an unknown class": (_layer("Teleport"), "Teleport"),
    "a class of another module": (_layer("Popen", "subprocess", args=["true"]), "Popen.*subprocess"),
    "a class of a module not imported": (_layer("Thing", "antigravity"), "Thing.*antigravity"),
    "a class of the engine by its path": (_layer("Dense", "engine.layers.core", units=2), "Dense.*engine.layers.core"),
    "a lambda": (LAMBDA, "lambda"),
    "a lambda inside a layer": (_layer("Activation", activation=LAMBDA), "lambda"),
    "a Lambda layer with bytecode": (_layer("Lambda", function=LAMBDA), "Lambda"),
    "a Lambda layer with source text": (_layer("Lambda", function=f"import sys; sys.{MARK} = 1"), "Lambda"),
    "a Lambda layer naming a function": (_layer("Lambda", function=_function("system", "os")), "Lambda"),
    "a pickled torch module": (_layer("TorchModuleWrapper", module="gASVBAAAAAAAAABLAS4="), "TorchModuleWrapper"),
    "a saved model on disk": (_layer("TFSMLayer", filepath="/"), "TFSMLayer"),
    "a switch of safe mode": (
        _layer("Activation", activation=_function("enable_unsafe_deserialization", "keras.config")),
        "enable_unsafe_deserialization",
    ),
    "the switch as a class": (
        _layer("enable_unsafe_deserialization", "keras.src.config"),
        "enable_unsafe_deserialization",
    ),
    "eval": (_layer("Activation", activation=_function("eval")), "eval"),
    "eval as a class": (_layer("eval", "builtins"), "eval"),
    "print as an activation's name": (_layer("Dense", units=2, activation="print"), "print"),
    "a dunder name": (_layer("Dense", units=2, activation="__import__"), "__import__"),
    "a module as an activation": (_layer("Dense", units=2, activation="registered"), "registered"),
    "a function of os": (_layer("Activation", activation=_function("system", "os")), "system"),
    "an initializer of os": (_layer("Dense", units=2, kernel_initializer=_layer("remove", "os", path="x")), "remove"),
    "a function where a class belongs": (_layer("relu", "keras.activations"), "relu"),
    "an unknown special": ({"class_name": "__reduce__", "config": {"value": "os.system"}}, "__reduce__"),
    "a registered name from elsewhere": (
        {"module": "os", "class_name": "system", "config": {}, "registered_name": "os>system"},
        "system",
    ),
    "a class name that is a list": ({"module": "keras.layers", "class_name": ["Dense"], "config": {}}, "class_name"),
    "a module that is a number": ({"module": 3, "class_name": "Dense", "config": {}}, "module"),
    "a function name that is a list": (_layer("Activation", activation={**_function("x"), "config": ["x"]}), "name"),
    "a config that is a string": ({"module": "keras.layers", "class_name": "Dense", "config": "units"}, "Dense"),
    "an argument that does not exist": (_layer("Dense", units=2, evil=1), "Dense"),
    "no layer at all": (_layer("Adam", "keras.optimizers"), "layer"),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_not_registered_is_refused_by_name_and_nothing_runs(hostile: str, tmp_path: Path) -> None:
    entry, said = HOSTILE[hostile]
    path = with_layer(tmp_path / "m.keras", entry)
    load_model(small_archive(tmp_path / "warm.keras"))  # brings in what the engine itself imports late
    modules = set(sys.modules)
    with pytest.raises((ValueError, TypeError), match=f"(?s){said}") as caught:
        load_model(path)
    assert "m.keras" in str(caught.value)
    assert set(sys.modules) == modules
    assert not hasattr(sys, MARK)


@pytest.mark.parametrize("hostile", ["a lambda inside a layer", "a Lambda layer with bytecode", "eval"])
def test_safe_mode_cannot_be_switched_off(hostile: str, tmp_path: Path) -> None:
    path = with_layer(tmp_path / "m.keras", HOSTILE[hostile][0])
    with pytest.raises((ValueError, TypeError)):
        load_model(path, safe_mode=False)
    assert not hasattr(sys, MARK)


@pytest.mark.parametrize("part", ["optimizer", "loss", "metrics"])
def test_code_in_the_compile_config_is_refused(part: str, tmp_path: Path) -> None:
    def change(config: Any) -> None:
        value = [LAMBDA] if part == "metrics" else LAMBDA
        config["compile_config"] = {"optimizer": "sgd", "loss": "mse", part: value}

    path = with_config(tmp_path / "m.keras", change)
    with pytest.raises((ValueError, TypeError), match="lambda"):
        load_model(path)
    assert load_model(path, compile=False).name == "small"


def test_unknown_classes_say_how_to_register_them_and_then_load(tmp_path: Path) -> None:
    class Doubling(engine.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * 2

    path = with_layer(tmp_path / "m.keras", _layer("Doubling", "my.project", name="twice"))
    with pytest.raises(TypeError, match=r"Doubling.*my\.project.*register_keras_serializable"):
        load_model(path)
    assert isinstance(load_model(path, custom_objects={"Doubling": Doubling}).layers[-1], Doubling)


def test_a_top_level_object_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = with_config(tmp_path / "m.keras", lambda config: _layer("Zeros", "keras.initializers"))
    with pytest.raises(ValueError, match="Zeros, not a model"):
        load_model(path)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"3", b"\xff\xfe{}", b'{"class_name": "Dense"}', b"null", b"[" * 200_000]
)
def test_a_config_that_is_no_model_in_json_is_refused(text: bytes, tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    path = write_members(tmp_path / "m.keras", {**members, "config.json": text})
    with pytest.raises(ValueError, match=r"config\.json"):
        load_model(path)


@pytest.mark.parametrize("depth", [300, 900, 5_000])
def test_a_config_that_is_nested_too_deeply_is_refused(depth: int, tmp_path: Path) -> None:
    members = members_of(small_archive(tmp_path / "m.keras"))
    nested = '{"class_name": "Sequential", "module": "keras", "config": {"layers": [' * depth + "]}}" * depth
    path = write_members(tmp_path / "m.keras", {**members, "config.json": nested.encode()})
    with pytest.raises((ValueError, TypeError)):
        load_model(path)


def _functional(path: Path, change: Any) -> Path:
    inputs = engine.Input((2,), name="in")
    engine.Model(inputs, engine.layers.Dense(2, name="out")(inputs), name="net").save(path)
    members = members_of(path)
    config = json.loads(members["config.json"])
    change(config["config"])
    return write_members(path, {**members, "config.json": json.dumps(config).encode()})


BROKEN: dict[str, Any] = {
    "no layers": lambda config: config.pop("layers"),
    "layers that are numbers": lambda config: config.update(layers=[1, 2]),
    "layers that are a dictionary": lambda config: config.update(layers={"a": 1}),
    "a layer without a config": lambda config: config["layers"][1].pop("config"),
    "a missing input": lambda config: config.update(input_layers=["absent", 0, 0]),
    "no such call": lambda config: config.update(output_layers=["out", 7, 0]),
    "no such tensor": lambda config: config.update(output_layers=["out", 0, 7]),
    "a place that is a string": lambda config: config.update(output_layers="out"),
    "a call of itself": lambda config: config["layers"][1]["inbound_nodes"][0].update(
        args=[{"class_name": "__keras_tensor__", "config": {"keras_history": ["out", 0, 0]}}]
    ),
    "a history that is short": lambda config: config["layers"][1]["inbound_nodes"][0].update(
        args=[{"class_name": "__keras_tensor__", "config": {"keras_history": ["in"]}}]
    ),
    "a node without arguments": lambda config: config["layers"][1].update(inbound_nodes=[{}]),
    "a node that is a number": lambda config: config["layers"][1].update(inbound_nodes=[5]),
    "two layers of one name": lambda config: config["layers"].append(config["layers"][1]),
    "a shape of words": lambda config: config["layers"][0]["config"].update(batch_shape=["a", "b"]),
    "a negative shape": lambda config: config["layers"][0]["config"].update(batch_shape=[None, -3]),
    "no shape": lambda config: config["layers"][0]["config"].pop("batch_shape"),
    "units that are a word": lambda config: config["layers"][1]["config"].update(units="many"),
    "no units": lambda config: config["layers"][1]["config"].update(units=0),
    "an unknown dtype": lambda config: config["layers"][1]["config"].update(dtype="float7"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_functional_configs_that_contradict_themselves_are_refused(broken: str, tmp_path: Path) -> None:
    path = _functional(tmp_path / "m.keras", BROKEN[broken])
    with pytest.raises((ValueError, TypeError), match=r"m\.keras"):
        load_model(path)


GIGANTIC: dict[str, dict[str, Any]] = {
    "units": _layer("Dense", name="huge", units=10**9),
    "more than fits an int64": _layer("Dense", name="huge", units=10**30),
    "an initializer of its own": _layer("Dense", name="huge", units=10**7, kernel_initializer="orthogonal"),
    "filters": {
        **_layer("Conv2D", name="huge", filters=10**9, kernel_size=3),
        "build_config": {"input_shape": [1, 9, 9, 9]},
    },
    "a kernel": {
        **_layer("Conv2D", name="huge", filters=3, kernel_size=[10**5, 10**5]),
        "build_config": {"input_shape": [None, 10**6, 10**6, 1]},
    },
}


@pytest.mark.parametrize("gigantic", GIGANTIC)
def test_gigantic_layers_are_refused_before_memory_is_taken(gigantic: str, tmp_path: Path) -> None:
    path = with_layer(tmp_path / "m.keras", GIGANTIC[gigantic])
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, TypeError), match=r"(?s)huge.*takes \d+ bytes"):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 80 * MEBIBYTE
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 20


def test_many_large_layers_are_refused_together(tmp_path: Path) -> None:
    def change(config: Any) -> None:
        config["config"]["layers"] += [_layer("Dense", name=f"large_{n}", units=3000) for n in range(40)]

    path = with_config(tmp_path / "m.keras", change)
    with pytest.raises(ValueError, match=r"large_\d.*bytes.*are left"):
        load_model(path)


def test_the_limit_does_not_outlast_loading(tmp_path: Path) -> None:
    load_model(small_archive(tmp_path / "m.keras"))
    layer = engine.layers.Dense(5000)
    layer.build((None, 5000))
    assert layer.kernel.shape == (5000, 5000)


def test_operations_on_numbers_alone_are_not_computed_while_loading(tmp_path: Path) -> None:
    def change(config: Any) -> None:
        node = {"args": [[1.0, 2.0]], "kwargs": {}}
        entry = _layer("Repeat", "keras.src.ops.numpy", name="bomb", repeats=10**13, axis=None)
        config["layers"].append({**entry, "name": "bomb", "inbound_nodes": [node]})

    path = _functional(tmp_path / "m.keras", change)
    with pytest.raises((ValueError, TypeError), match=r"bomb|Repeat"):
        load_model(path)


def test_gigantic_shapes_of_layers_without_weights_take_no_memory(tmp_path: Path) -> None:
    layers = engine.layers
    inputs = engine.Input((10**6, 10**5, 3))
    x = layers.ZeroPadding2D(10**5)(layers.UpSampling2D(10)(layers.Rescaling(0.5)(inputs)))
    x = layers.BatchNormalization()(layers.Dropout(0.5)(layers.Conv2D(2, 3, padding="same")(x)))
    x = layers.MaxPooling2D(7)(engine.ops.relu(x + 1.0))
    wide = layers.RepeatVector(10**12)(layers.GlobalAveragePooling2D()(x))
    engine.Model(inputs, wide).save(tmp_path / "m.keras")
    tracemalloc.start()
    try:
        assert load_model(tmp_path / "m.keras").output_shape == (None, 10**12, 2)
        assert tracemalloc.get_traced_memory()[1] < 20 * MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["object", "O", "V8", "U5", "datetime64", 5, None])
def test_arrays_in_configs_hold_numbers_only(dtype: Any, tmp_path: Path) -> None:
    value = {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": dtype}}
    path = with_layer(tmp_path / "m.keras", _layer("Rescaling", name="odd", scale=value))
    try:
        scale = load_model(path).get_layer("odd").scale
    except (ValueError, TypeError):
        return
    assert dtype is None
    assert scale.dtype == "float32"
