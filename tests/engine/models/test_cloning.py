"""Clones: the same architecture, layers and weights of its own, and what may be changed on the way."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from engine import Input, Model, Sequential, layers
from engine.models import clone_model, model_from_json

X = np.random.default_rng(0).random((3, 4)).astype(np.float32)


def branched(kind: Any = Model) -> Any:
    """A layer called twice, an inner model, operations, two outputs."""
    inputs = Input((4,), name="start")
    shared = layers.Dense(4, activation="relu", name="shared")
    inner = Sequential([Input((4,)), layers.Dense(3, name="inside"), layers.Dropout(0.5, name="drop")], name="inner")
    value = shared(shared(inputs))
    value = value[:, :3] + inner(value)
    return kind(inputs, [value, layers.Dense(2, name="end")(value)], name="branched")


def test_a_clone_has_layers_of_its_own_shared_where_they_were_shared() -> None:
    model = branched()
    model.compile("adam", ["mse", "mae"])
    clone = clone_model(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    assert len(clone.weights) == len(model.weights) == 6
    assert not {id(variable) for variable in clone.weights} & {id(variable) for variable in model.weights}
    clone.set_weights(model.get_weights())
    for ours, theirs in zip(clone.predict(X, verbose=0), model.predict(X, verbose=0), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert clone.compiled
    assert clone.optimizer is not model.optimizer


def test_inner_models_are_cloned_as_one_or_layer_by_layer() -> None:
    seen: list[str] = []

    def noted(layer: Any) -> Any:
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    clone_model(branched(), clone_function=noted)
    assert [name for name in seen if name in ("inner", "inside")] == ["inner"]
    seen.clear()
    clone_model(branched(), clone_function=noted, recursive=True)
    assert [name for name in seen if name in ("inner", "inside", "drop")] == ["inside", "drop"]
    assert seen.count("shared") == 1


def test_layers_may_be_kept_and_their_calls_changed() -> None:
    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        return layers.Rescaling(2.0)(outputs) if isinstance(layer, layers.Dense) else outputs

    model = Sequential([Input((4,)), layers.Dense(2)])
    functional = Model(model.inputs, model.layers[0](model.inputs[0]))
    clone = clone_model(functional, clone_function=lambda layer: layer, call_function=call)
    assert clone.layers[1] is functional.layers[1]
    np.testing.assert_allclose(clone.predict(X, verbose=0), 2.0 * functional.predict(X, verbose=0), rtol=1e-6)


@pytest.mark.parametrize("make", [branched, lambda: Sequential([Input((4,)), layers.Dense(3)])])
def test_a_clone_may_stand_on_other_inputs(make: Any) -> None:
    assert clone_model(make(), input_tensors=Input((4,), name="other")).inputs[0].name == "other"


def test_a_class_with_steps_of_its_own_is_kept() -> None:
    class Doubling(Model):
        def predict_step(self, data: Any) -> Any:
            return [2.0 * value for value in self(data)]

    model = branched(Doubling)
    clone = clone_model(model)
    assert isinstance(clone, Doubling)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone.predict(X, verbose=0)[1], model.predict(X, verbose=0)[1])


def test_other_models_are_cloned_from_their_config() -> None:
    class Written(Model):
        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units

        def get_config(self) -> dict[str, Any]:
            return {"units": self.units, "name": self.name}

    clone = clone_model(Written(5))
    assert isinstance(clone, Written)
    assert clone.units == 5
    with pytest.raises(ValueError, match="Written"):
        clone_model(Written(5), clone_function=lambda layer: layer)


def test_an_architecture_travels_as_json() -> None:
    model = branched()
    again = model_from_json(model.to_json(indent=1))
    again.set_weights(model.get_weights())
    assert json.loads(again.to_json()) == json.loads(model.to_json())
    np.testing.assert_array_equal(again.predict(X, verbose=0)[1], model.predict(X, verbose=0)[1])


def test_layers_of_one_s_own_are_given_to_read_json() -> None:
    class Tripling(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return 3.0 * inputs

    text = Sequential([Input((4,)), Tripling()]).to_json()
    with pytest.raises(TypeError, match="Tripling"):
        model_from_json(text)
    again = model_from_json(text, custom_objects={"Tripling": Tripling})
    np.testing.assert_allclose(again.predict(X, verbose=0), 3.0 * X, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: clone_model(Sequential([layers.Dense(2)]), call_function=lambda *_: None), "call_function"),
        (lambda: clone_model(Sequential([layers.Dense(2)]), input_tensors=3), "placeholder"),
        (lambda: clone_model(branched(), input_tensors=3), "placeholders"),
        (lambda: clone_model(branched(), input_tensors=[Input((4,)), Input((4,))]), "form"),
    ],
)
def test_what_a_model_does_not_take_is_named(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
