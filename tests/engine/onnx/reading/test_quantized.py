"""Quantised networks: integers as ONNX Runtime makes them, floats where they stand for floats, gradients through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper

from engine import ops
from engine.layers import Conv2D
from engine.layers.extensions import FakeQuantization
from engine.tape import Tape
from tests.engine.onnx.graphs import assert_as_onnxruntime, graph, imported

node = helper.make_node
RNG = np.random.default_rng(8)
KERNEL = RNG.integers(-127, 128, size=(4, 3, 3, 3)).astype(np.int8)
IMAGE = RNG.normal(size=(2, 3, 6, 6)).astype(np.float32)


def scale(*numbers: float) -> Any:
    return np.asarray(numbers if len(numbers) > 1 else numbers[0], np.float32)


def _pairs(zero: Any) -> tuple[list[NodeProto], dict[str, Any]]:
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    return nodes, {"s": scale(0.05), "z": zero}


@pytest.mark.parametrize(
    "zero", [np.uint8(120), np.int8(-3), np.uint16(30000), np.int16(5)], ids=lambda zero: str(zero.dtype)
)
def test_a_pair_rounds(zero: Any) -> None:
    nodes, constants = _pairs(zero)
    network = graph(nodes, {"x": ["N", 7]}, ["q", "y"], constants, opset=21)
    x = np.concatenate([RNG.normal(size=(3, 7)), [[0.025, 0.075, -0.025, 1e9, -1e9, 0, 6.4]]]).astype(np.float32)
    assert_as_onnxruntime(network, x, tolerance=1e-6)


@pytest.mark.parametrize("axis", [1, -1, 2])
def test_a_pair_rounds_by_channel(axis: int) -> None:
    count = {1: 3, 2: 6, -1: 6}[axis]
    constants = {"s": np.linspace(0.01, 0.2, count).astype(np.float32), "z": np.arange(count).astype(np.uint8)}
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=axis),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=axis),
    ]
    assert_as_onnxruntime(graph(nodes, {"x": ["N", 3, 6, 6]}, ["q", "y"], constants), IMAGE, tolerance=1e-6)


def test_a_convolution_between_pairs_is_one_of_floats_that_is_trained() -> None:
    scales = np.asarray([0.01, 0.02, 0.005, 0.03], np.float32)
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["f"]),
        node("DequantizeLinear", ["k", "ks", "kz"], ["kf"], axis=0),
        node("Conv", ["f", "kf", "b"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("QuantizeLinear", ["r", "os", "oz"], ["o"]),
        node("DequantizeLinear", ["o", "os", "oz"], ["y"]),
    ]
    constants = {
        "s": scale(0.03), "z": np.uint8(128), "k": KERNEL, "ks": scales, "kz": np.zeros(4, np.int8),
        "b": RNG.normal(size=4).astype(np.float32), "os": scale(0.1), "oz": np.uint8(0),
    }  # fmt: skip
    network = graph(nodes, {"x": ["N", 3, 6, 6]}, ["y"], constants)
    # A number on the border between two steps may fall to either side.
    model = assert_as_onnxruntime(network, IMAGE, tolerance=0.1 / 20)
    (layer,) = [item for item in model.layers if isinstance(item, Conv2D)]
    np.testing.assert_allclose(np.asarray(layer.kernel)[..., 1], KERNEL[1].transpose(1, 2, 0) * scales[1], rtol=1e-6)
    with Tape() as tape:
        loss = ops.mean(ops.square(model(IMAGE, training=True)))
    (gradient,) = tape.gradient(loss, [layer.kernel])
    assert np.abs(np.asarray(gradient)).max() > 1e-3


def test_while_training_the_gradient_goes_through_as_if_nothing_were_rounded() -> None:
    layer = FakeQuantization((), -2, 2, dtype="float32")
    layer.build((None, 5))
    x = ops.convert_to_tensor(np.asarray([[-9.0, -1.2, 0.3, 1.9, 7.0]], np.float32))
    with Tape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    np.testing.assert_allclose(np.asarray(y), [[-2, -1, 0, 2, 2]], atol=1e-6)
    np.testing.assert_array_equal(np.asarray(layer(x)), [[-2, -1, 0, 2, 2]])
    np.testing.assert_array_equal(np.asarray(tape.gradient(y, [x])[0]), [[1, 1, 1, 1, 1]])


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_operators_on_integers(kind: Any, by_channel: bool) -> None:
    zero = kind(100) if kind is np.uint8 else kind(-5)
    constants = {
        "s": scale(0.03), "z": zero, "k": KERNEL, "b": RNG.integers(-500, 500, size=4).astype(np.int32),
        "ks": scale(0.01, 0.02, 0.005, 0.03) if by_channel else scale(0.02),
        "kz": np.zeros(4, np.int8) if by_channel else np.int8(0), "os": scale(0.5), "oz": zero,
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearConv", ["q", "s", "z", "k", "ks", "kz", "os", "oz", "b"], ["c"], strides=[2, 2]),
        node("DequantizeLinear", ["c", "os", "oz"], ["y"]),
    ]
    assert_as_onnxruntime(graph(nodes, {"x": ["N", 3, 6, 6]}, ["y"], constants), IMAGE, tolerance=0.01)


def test_a_product_of_integers() -> None:
    constants = {
        "s": scale(0.03), "z": np.uint8(120), "w": RNG.integers(0, 255, size=(6, 4)).astype(np.uint8),
        "ws": scale(0.02), "wz": np.uint8(128), "os": scale(0.05), "oz": np.uint8(99),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearMatMul", ["q", "s", "z", "w", "ws", "wz", "os", "oz"], ["p"]),
        node("DequantizeLinear", ["p", "os", "oz"], ["y"]),
    ]
    assert_as_onnxruntime(graph(nodes, {"x": ["N", 6]}, ["y"], constants), IMAGE[:, 0, 0], tolerance=0.02)


def test_integers_that_come_in_are_what_they_are() -> None:
    nodes = [node("DequantizeLinear", ["x", "s", "z"], ["f"]), node("MatMul", ["f", "w"], ["y"])]
    constants = {"s": scale(0.1), "z": np.uint8(7), "w": RNG.normal(size=(5, 2)).astype(np.float32)}
    network = graph(nodes, {"x": ["N", 5]}, ["y"], constants, dtypes={"x": TensorProto.UINT8})
    assert_as_onnxruntime(network, RNG.integers(0, 255, size=(3, 5)).astype(np.uint8))


@pytest.mark.parametrize(
    ("attributes", "constants", "message"),
    [
        ({"block_size": 2}, {"s": np.ones((3, 2), np.float32), "z": np.zeros((3, 2), np.uint8)}, "shape"),
        ({}, {"s": np.ones(3, np.float32), "z": np.zeros(2, np.uint8)}, r"scales of the shape \(3,\)"),
    ],
)
def test_what_is_not_supported_is_refused(attributes: Any, constants: Any, message: str) -> None:
    network = graph(
        [node("QuantizeLinear", ["x", "s", "z"], ["y"], **attributes)], {"x": ["N", 3]}, ["y"], constants, 21
    )
    with pytest.raises(ValueError, match=message):
        imported(network)
