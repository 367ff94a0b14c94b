"""The order of axes: no transposes inside networks, weights brought into the file's order, exact bookkeeping."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import engine as keras
from engine import layers as L
from engine.onnx.axes import inverse, moving, same
from engine.onnx.writing.form import Form, only_units_move, reshaped, stored_array, stored_lengths
from tests.engine.onnx.writing.models import gates_and_orders, patches
from tests.engine.onnx.writing.runtime import assert_same, operators, rows, run, written


def _network(flatten: bool) -> Any:
    x = inputs = keras.Input((12, 12, 3))
    for filters in (4, 6):
        before = x = L.Conv2D(filters, 3, padding="same")(L.ZeroPadding2D(1)(x))
        x = L.ReLU()(L.BatchNormalization()(x))
        x = L.Concatenate()([L.Add()([x, before]), L.AveragePooling2D(3, 1, "same")(x)])
        x = L.UpSampling2D(2)(L.MaxPooling2D(2)(x[:, 1:-1, 1:-1]))
    x = L.Flatten()(x) if flatten else L.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, L.Dense(3)(L.LeakyReLU()(L.BatchNormalization()(x)) * 2.0))


@pytest.mark.parametrize("flatten", [False, True])
def test_a_convolutional_network_is_transposed_at_its_input_alone(flatten: bool) -> None:
    model = _network(flatten)
    proto = written(model)
    assert operators(proto)["Transpose"] == 1
    assert proto.graph.node[0].op_type == "Transpose" or proto.graph.node[1].op_type == "Transpose"
    assert_same(model, proto, rows(2, (12, 12, 3)))


def test_with_inputs_that_have_channels_first_nothing_is_transposed() -> None:
    model = _network(flatten=True)
    proto = written(model, channels_first_inputs=True)
    assert operators(proto)["Transpose"] == 0
    assert [d.dim_value or d.dim_param for d in proto.graph.input[0].type.tensor_type.shape.dim] == ["batch", 3, 12, 12]
    x = rows(2, (12, 12, 3))
    (found,) = run(proto, np.ascontiguousarray(np.moveaxis(x, 3, 1)))
    np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-4, atol=1e-4)


def test_a_network_with_channels_first_layers_is_not_transposed() -> None:
    first = {"data_format": "channels_first"}
    model = keras.Sequential(
        [
            keras.Input((3, 8, 8)),
            L.Conv2D(4, 3, **first),
            L.BatchNormalization(axis=1),
            L.MaxPooling2D(2, **first),
            L.Flatten(),
            L.Dense(2),
        ]
    )
    proto = written(model)
    assert operators(proto)["Transpose"] == 0
    assert_same(model, proto, rows(2, (3, 8, 8)))


def test_gates_norms_and_products_over_channels_keep_the_order() -> None:
    assert operators(written(patches()))["Transpose"] == 1
    assert operators(written(gates_and_orders()))["Transpose"] == 2  # the permutation of rows and columns is one


def test_what_follows_a_recurrent_layer_keeps_time_first() -> None:
    model = keras.Sequential([keras.Input((7, 3)), L.LSTM(5, return_sequences=True), L.Dense(4), L.LSTM(3)])
    proto = written(model)
    assert operators(proto)["Transpose"] == 1
    assert_same(model, proto, rows(3, (7, 3)))


# Bookkeeping ---------------------------------------------------------------------------------------------------------


def _factorings(size: int, rank: int) -> list[tuple[int, ...]]:
    if rank == 1:
        return [(size,)]
    return [(n, *rest) for n in range(1, size + 1) if size % n == 0 for rest in _factorings(size // n, rank - 1)]


@pytest.mark.parametrize("shape", [(2, 3, 2, 2), (2, 1, 6), (3, 4), (1, 2, 1, 3), (4, 1, 1, 3)])
def test_a_reshape_in_the_files_order_holds_the_same_values(shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).reshape(shape)
    done = 0
    for order in permutations(range(len(shape))):
        stored = stored_array(array, Form(order))
        for rank in (1, 2, 3):
            for target in _factorings(array.size, rank):
                after = reshaped(Form(order), shape, target)
                if after is None:
                    continue
                done += 1
                found = stored.reshape(stored_lengths(target, after.order))
                np.testing.assert_array_equal(found, stored_array(array.reshape(target), after))
    assert done > 20


def test_the_axes_that_move_are_those_of_the_transpose() -> None:
    shape = (2, 3, 1, 4)
    array = np.arange(24).reshape(shape)
    for source in permutations(range(4)):
        for target in permutations(range(4)):
            stored = array.transpose(inverse(source))
            wanted = array.transpose(inverse(target))
            np.testing.assert_array_equal(stored.transpose(moving(source, target)), wanted)
            if only_units_move(shape, source, target):
                np.testing.assert_array_equal(stored.reshape(wanted.shape), wanted)
    assert only_units_move(shape, same(4), (0, 1, 3, 2))
    assert not only_units_move(shape, same(4), (1, 0, 2, 3))
