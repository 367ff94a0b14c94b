"""JSON and YAML: architectures of every Keras."""

from __future__ import annotations

import json
from typing import Any

import pytest

import engine
from tests.engine.keras_reference import as_json, keras
from tests.engine.saving.architectures import ARCHITECTURES

NAMED = [item for item in ARCHITECTURES if item.name in ("residual", "shared_layer", "nested")]


@pytest.mark.parametrize("architecture", NAMED, ids=lambda item: item.name)
def test_json_travels_both_ways(architecture: Any) -> None:
    theirs, ours = architecture.make(keras), architecture.make(engine)
    read = engine.models.model_from_json(theirs.to_json())
    assert [layer.name for layer in read.layers] == [layer.name for layer in theirs.layers]
    again = keras.models.model_from_json(ours.to_json())
    assert as_json(again.get_config()) == as_json(keras.models.model_from_json(again.to_json()).get_config())


def test_yaml_of_ours_comes_back() -> None:
    model = engine.Sequential([engine.Input((3,)), engine.layers.Dense(2, kernel_regularizer="l2")])
    assert engine.models.model_from_yaml(model.to_yaml()).get_config() == model.get_config()


DENSE = {"name": "d", "units": 2, "activation": "relu", "batch_input_shape": [None, 3]}


@pytest.mark.parametrize("said", [{"keras_version": "2.2.4", "backend": "tensorflow"}, {"keras_version": "2.4.0"}, {}])
def test_json_of_keras_2_is_known_by_its_version(said: dict[str, str]) -> None:
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": DENSE}]}, **said}
    model = engine.models.model_from_json(json.dumps(config))
    assert (model.input_shape, model.output_shape) == ((None, 3), (None, 2))
    assert engine.models.model_from_config(config).count_params() == 8


def test_tuples_in_yaml_are_lists() -> None:
    text = (
        "class_name: Sequential\nkeras_version: 2.2.4\nconfig:\n- class_name: Dense\n"
        "  config:\n    units: 2\n    batch_input_shape: !!python/tuple [null, 3]\n"
    )
    assert engine.models.model_from_yaml(text).input_shape == (None, 3)


HOSTILE_YAML = {
    "an object": ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    "a name": ("a: !!python/name:os.system", "not valid YAML"),
    "itself": ("&a [*a]", "contains itself"),
    "too much": (
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
        "more than",
    ),
    "depth": ("[" * 2_000, "deep"),
    "nothing": ("", "empty"),
    "no model": ("a: 1", "config of a model"),
    "broken": ("a: [", "not valid YAML"),
}


@pytest.mark.parametrize("name", HOSTILE_YAML)
def test_hostile_yaml_is_refused(name: str) -> None:
    text, message = HOSTILE_YAML[name]
    with pytest.raises(ValueError, match=message):
        engine.models.model_from_yaml(text)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[" * 100_000, '{"class_name": "Sequential"}', '{"class_name": 3, "config": 1}']
)
def test_json_of_no_model_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|config of a model"):
        engine.models.model_from_json(text)
