"""Whole models give in ONNX Runtime what they give here, for any batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import engine as keras
from engine import tree
from tests.engine.models import architectures as others
from tests.engine.onnx.writing.models import (
    EXAMPLES,
    Example,
    attention,
    bottlenecks,
    gates_and_orders,
    half,
    small_mobile_net,
)
from tests.engine.onnx.writing.runtime import assert_same, operators, rows, run, written
from tests.engine.saving.architectures import ARCHITECTURES, Architecture, randomise


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_a_model_gives_the_same_in_onnx_runtime(example: Example) -> None:
    model = example.make()
    proto = written(model)
    for count in (1, 3):
        assert_same(model, proto, example.data(count), example.tolerance)


@pytest.mark.parametrize("opset", [13, 16, 18, 21])
def test_a_model_gives_the_same_in_every_version_of_the_operators(opset: int) -> None:
    for example in EXAMPLES:
        if example.make in (attention, gates_and_orders, half):
            model = example.make()
            assert_same(model, written(model, opset=opset), example.data(3), example.tolerance)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_an_architecture_of_files_gives_the_same(architecture: Architecture) -> None:
    model = architecture.make(keras)
    randomise(model)
    proto = written(model)
    tolerance = 2e-2 if architecture.name == "other_dtypes" else 1e-4  # it computes in bfloat16
    for count in (1, 3):
        assert_same(model, proto, architecture.data(count), tolerance)


@pytest.mark.parametrize("name", ["classifier", "branches", "nested", "residual", "operators", "idle_input"])
def test_an_architecture_of_training_gives_the_same(name: str) -> None:
    model = getattr(others, name)(keras)
    randomise(model)
    proto = written(model)
    for count in (1, 3):
        x = rows(count, *(tuple(tensor.shape[1:]) for tensor in model.inputs))
        named = dict(zip((tensor.history.operation.name for tensor in model.inputs), tree.flatten(x), strict=True))
        assert_same(model, proto, named if isinstance(model.input, dict) else x)


@pytest.mark.parametrize("make", [small_mobile_net, bottlenecks])
def test_a_network_for_images_gives_the_same(make: Any) -> None:
    model = make()
    proto = written(model)
    assert operators(proto)["Transpose"] == 1
    assert_same(model, proto, rows(2, (32, 32, 3)))


@pytest.mark.parametrize("pooling", [keras.layers.MaxPooling2D, keras.layers.AveragePooling2D])
def test_zeros_around_negative_numbers_count_in_a_pooling_behind_them(pooling: Any) -> None:
    # ONNX Runtime would make them the pooling's own padding.
    layers = [keras.layers.Conv2D(1, 1), keras.layers.ZeroPadding2D(1), pooling(3, strides=2)]
    model = keras.Sequential([keras.Input((6, 6, 1)), *layers])
    model.set_weights([np.ones((1, 1, 1, 1), np.float32), np.zeros(1, np.float32)])
    assert_same(model, written(model), -np.abs(rows(2, (6, 6, 1))))


def test_a_file_takes_no_rows_at_all() -> None:
    model = others.residual(keras)
    (found,) = run(written(model), np.zeros((0, 8, 8, 3), np.float32))
    assert found.shape == (0, 2)
