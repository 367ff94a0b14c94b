"""Lambda layers: functions by name, shapes, masks, files; never code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import layers, ops
from engine.registry import deserialize, serialize
from tests.engine.keras_reference import as_json, keras

X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


@engine.saving.register_keras_serializable("tests", "halve_in_training")
def _halve(x: Any, factor: float = 0.5, training: bool | None = None) -> Any:
    return x * factor if training else x


@keras.saving.register_keras_serializable("tests", "double")
@engine.saving.register_keras_serializable("tests", "double")
def _double(x: Any, times: int = 2) -> Any:
    return x * times


def test_the_function_gets_its_arguments_and_training() -> None:
    layer = layers.Lambda(_halve, arguments={"factor": 0.25})
    np.testing.assert_array_equal(layer(X), X)
    np.testing.assert_array_equal(layer(X, training=True), X * 0.25)


def test_shapes_are_inferred_given_or_computed() -> None:
    inputs = layers.Input((None, 4))
    assert layers.Lambda(lambda x: ops.sum(x, -1))(inputs).shape == (None, None)
    assert layers.Lambda(lambda x: x, output_shape=(7, 4))(inputs).shape == (None, 7, 4)
    assert layers.Lambda(lambda x: x, output_shape=lambda shape: (*shape, 1))(inputs).shape == (None, None, 4, 1)


def test_masks_pass_on_where_a_mask_is_given_for_the_outputs() -> None:
    masked = layers.Masking()(np.zeros((2, 3, 4), np.float32))
    seen: list[Any] = []

    def look(x: Any, mask: Any = None) -> Any:
        seen.append(mask)
        return x + 1.0

    result = layers.Lambda(look, mask=lambda x, mask: ops.logical_not(mask))(masked)
    assert not np.asarray(seen[0]).any()
    assert np.asarray(result._keras_mask).all()


def test_a_lambda_layer_with_a_registered_function_goes_both_ways(tmp_path: Path) -> None:
    for writer, reader in ((keras, engine), (engine, keras)):
        inputs = writer.Input((3, 4))
        model = writer.Model(inputs, writer.layers.Lambda(_double, arguments={"times": 3})(inputs))
        model.save(tmp_path / "model.keras")
        again = reader.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(again.predict(X, verbose=0), X * 3, rtol=1e-6)


def test_configs_equal_keras() -> None:
    theirs, ours = (library.layers.Lambda(_double, name="tested") for library in (keras, engine))
    assert as_json(serialize(ours)) == as_json(keras.saving.serialize_keras_object(theirs))


def test_a_python_lambda_is_neither_written_nor_read() -> None:
    with pytest.raises(ValueError, match="Python lambda, which no file can name"):
        serialize(layers.Lambda(lambda x: x))
    theirs = keras.layers.Lambda(lambda x: x + 1)
    with pytest.raises(ValueError, match="Code is never taken from files"):
        deserialize(as_json(keras.saving.serialize_keras_object(theirs)))


@pytest.mark.parametrize(
    "function",
    [
        ["4wEAAAA=", None, None],
        {"class_name": "function", "module": "builtins", "config": "eval", "registered_name": "function"},
        {"class_name": "function", "module": "os", "config": "system", "registered_name": "function"},
        {"class_name": "function", "module": "keras.layers", "config": "Dense", "registered_name": "function"},
        "Dense",
    ],
    ids=["code of Keras 2", "a builtin", "a module's function", "a class of the engine", "a bare name"],
)
def test_only_functions_that_the_user_registered_are_found(function: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"Code is never taken from files|is not registered"):
        layers.Lambda.from_config({"name": "hostile", "function": function})


def test_activations_and_the_functions_of_old_files_are_found_by_name() -> None:
    theirs = keras.layers.Lambda(keras.activations.relu, name="tested")
    again = deserialize(as_json(keras.saving.serialize_keras_object(theirs)))
    np.testing.assert_array_equal(again(X), np.maximum(X, 0))
    former = {"function": "tests>double", "function_type": "function", "module": "m", "output_shape_type": "raw"}
    np.testing.assert_array_equal(layers.Lambda.from_config(former)(X), X * 2)
