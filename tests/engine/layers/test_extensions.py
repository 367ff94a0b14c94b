"""Layers that Keras has not: settings, saving, gradients, and that real Keras refuses files that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine import layers, ops
from engine.layers import extensions
from engine.registry import deserialize, serialize
from engine.tape import Tape
from tests.engine.keras_reference import as_json, keras

RNG = np.random.default_rng(14)


def _numbers(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


IMAGE = (2, 4, 6, 3)
FLOATS = {"dtype": "float32"}
TREES = {"trees": 1, "nodes": 3, "outputs": 2, "depth": 1, "comparisons": ["less_equal", "greater"]}
TABLES = [
    np.asarray(values, dtype)
    for values, dtype in (
        ([[0, 0], [1, 2], [3, -4]], np.float32), ([0], np.int32), ([1, 0, 0], np.int32), ([1, 1, 2], np.int32),
        ([2, 1, 2], np.int32), ([0, 0, 0], np.int32), ([False] * 3, bool), ([0.1, 0, 0], np.float32),
    )
]  # fmt: skip

# The layer, its inputs (the first one may get gradients), its weights, whether it passes gradients.
CASES: dict[str, tuple[Any, list[Any], list[Any], bool]] = {
    "ConstantOperand": (
        lambda: extensions.ConstantOperand("subtract", (3,), True, **FLOATS), [_numbers(*IMAGE)], [_numbers(3)], True
    ),
    "ConstantValues": (lambda: extensions.ConstantValues((2, 3), **FLOATS), [_numbers(2, 3)], [_numbers(2, 3)], False),
    "DepthToSpace": (lambda: extensions.DepthToSpace(2, True), [_numbers(2, 3, 3, 8)], [], True),
    "Expansion": (lambda: extensions.Expansion((None, 5, 3)), [_numbers(2, 1, 3)], [], True),
    "FakeQuantization": (
        lambda: extensions.FakeQuantization((3,), -8, 7), [_numbers(2, 3)], [np.full(3, 0.25), np.ones(3)], True
    ),
    "Filled": (lambda: extensions.Filled([None, 4], 0.5), [_numbers(2, 3)], [], False),
    "Interpolation": (
        lambda: extensions.Interpolation([1, 2], sizes=[7, 3], method="cubic", coordinates="align_corners"),
        [_numbers(*IMAGE)], [], True,
    ),
    "LocalResponseNormalization": (lambda: extensions.LocalResponseNormalization(3, 0.1), [_numbers(*IMAGE)], [], True),
    "PairwiseProbabilities": (
        lambda: extensions.PairwiseProbabilities(3), [_numbers(2, 3)], [-np.ones(3), _numbers(3)], True
    ),
    "PairwiseVotes": (lambda: extensions.PairwiseVotes(3), [_numbers(2, 3)], [], False),
    "PeepholeLSTMCell": (
        lambda: layers.RNN(extensions.PeepholeLSTMCell(2), return_sequences=True),
        [_numbers(2, 4, 3)], [_numbers(3, 8), _numbers(2, 8), _numbers(8), _numbers(3, 2)], True,
    ),
    "Scatter": (
        lambda: extensions.Scatter(1, "add"), [_numbers(2, 4), np.asarray([[0, 3], [1, 1]], np.int32), _numbers(2, 2)],
        [], True,
    ),
    "SequenceReversal": (
        lambda: extensions.SequenceReversal(), [_numbers(2, 4, 3), np.asarray([2, 4], np.int32)], [], True
    ),
    "SpaceToDepth": (lambda: extensions.SpaceToDepth(2), [_numbers(*IMAGE)], [], True),
    "SupportVectors": (
        lambda: extensions.SupportVectors(4, "rbf", 0.3), [_numbers(2, 3)], [_numbers(4, 3)], True
    ),
    "TreeEnsemble": (lambda: extensions.TreeEnsemble(**TREES), [_numbers(4, 3)], TABLES, False),
    "WindowPooling": (
        lambda: extensions.WindowPooling("average", (3, 2), (1, 2), ((2, 1), (0, 1)), (1, 3)),
        [_numbers(*IMAGE)], [], True
    ),
}  # fmt: skip


def _model(name: str) -> Any:
    """The layer between inputs and outputs, with its weights."""
    make, arrays, weights, _ = CASES[name]
    layer = make()
    inputs = [layers.Input(array.shape[1:], dtype=array.dtype.name) for array in arrays]
    outputs = layer(inputs[0] if len(inputs) == 1 else inputs)
    layer.set_weights(weights)
    return engine.Model(inputs if len(inputs) > 1 else inputs[0], outputs)


def _called(model: Any, name: str, first: Any = None) -> Any:
    arrays = CASES[name][1]
    taken = [arrays[0] if first is None else first, *arrays[1:]]
    return model(taken if len(taken) > 1 else taken[0], training=True)


def test_every_extension_is_tested() -> None:
    assert set(CASES) == set(extensions.__all__)


@pytest.mark.parametrize("name", CASES)
def test_an_extension_is_made_again_from_its_config(name: str) -> None:
    layer = CASES[name][0]()
    config = as_json(serialize(layer))
    again = deserialize(config)
    assert type(again) is type(layer)
    assert as_json(serialize(again)) == config


@pytest.mark.parametrize("name", CASES)
def test_an_extension_is_saved_and_loaded(name: str, tmp_path: Path) -> None:
    model = _model(name)
    path = tmp_path / "model.keras"
    model.save(path)
    again = engine.models.load_model(path)
    np.testing.assert_array_equal(np.asarray(_called(again, name)), np.asarray(_called(model, name)))
    with pytest.raises(Exception, match=r"beagle|Unknown|Could not locate"):
        keras.models.load_model(path)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[3] and name != "FakeQuantization"])
def test_gradients_are_those_of_small_changes(name: str) -> None:
    model = _model(name)
    first = CASES[name][1][0]
    direction = _numbers(*first.shape)
    x = ops.convert_to_tensor(first)
    with Tape() as tape:
        tape.watch(x)
        outputs = _called(model, name, x)
        weight = _numbers(*outputs.shape)
        loss = ops.sum(ops.multiply(outputs, weight))
    (gradient,) = tape.gradient(loss, [x])
    step = 1e-2
    ends = [
        float(
            (np.asarray(_called(model, name, first + np.float32(sign * step) * direction), np.float64) * weight).sum()
        )
        for sign in (1, -1)
    ]
    expected = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(float((np.asarray(gradient) * direction).sum()), expected, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: extensions.ConstantOperand("exec", (3,)), "`function` must be one of"),
        (lambda: extensions.DepthToSpace(0), "`block_size` must be"),
        (lambda: extensions.FakeQuantization((), 3, 3), "`low` must be below"),
        (lambda: extensions.Interpolation([1], sizes=[3], method="magic"), "magic"),
        (lambda: extensions.PairwiseVotes(1), "`classes` must be 2 or more"),
        (lambda: extensions.Scatter(0, "median"), "`reduction` must be one of"),
        (lambda: extensions.SupportVectors(3, "exec"), "`kernel` must be one of"),
        (lambda: extensions.WindowPooling("min", (2, 2), (1, 1), ((0, 0), (0, 0))), "`function` must be"),
        (lambda: extensions.WindowPooling("max", (2, 2), (1, 1), ((0, 0), (0, 0)), (0, 1)), "dilation_rate"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
