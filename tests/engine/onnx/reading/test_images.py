"""Resizing, transposed convolution, pooling and normalisation of images, beside ONNX Runtime's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper

from engine.layers import AveragePooling2D, BatchNormalization, MaxPooling2D, UpSampling2D
from engine.layers.extensions import Interpolation, WindowPooling
from tests.engine.onnx.graphs import assert_as_onnxruntime, graph, imported, transposes

node = helper.make_node
RNG = np.random.default_rng(9)
IMAGE = RNG.normal(size=(2, 3, 7, 6)).astype(np.float32)


def floats(*numbers: float) -> Any:
    return np.asarray(numbers, np.float32)


def _compared(nodes: list[NodeProto], constants: dict[str, Any], opset: int, most_transposes: int = 2) -> Any:
    network = graph(nodes, {"x": ["N", *IMAGE.shape[1:]]}, ["y"], constants, opset)
    model = assert_as_onnxruntime(network, IMAGE)
    assert transposes(model) <= most_transposes
    return model


# Resize: attributes, scales or sizes, opset, the layer that it becomes.
RESIZES: dict[str, tuple[dict[str, Any], Any, int, type]] = {
    "twice, nearest": ({"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
                       floats(1, 1, 2, 2), 13, UpSampling2D),
    "twice, linear": ({"mode": "linear"}, floats(1, 1, 2, 2), 13, UpSampling2D),
    "twice and thrice, nearest": ({}, floats(1, 1, 2, 3), 13, UpSampling2D),
    "broken factors, nearest": ({}, floats(1, 1, 1.7, 0.6), 13, Interpolation),
    "rounded up": ({"nearest_mode": "ceil", "coordinate_transformation_mode": "asymmetric"},
                   floats(1, 1, 1.7, 0.6), 13, Interpolation),
    "to sizes, linear": ({"mode": "linear"}, np.asarray([2, 3, 11, 4]), 13, Interpolation),
    "from corner to corner": ({"mode": "linear", "coordinate_transformation_mode": "align_corners"},
                              np.asarray([2, 3, 11, 9]), 13, Interpolation),
    "as PyTorch, to one row": ({"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
                               np.asarray([2, 3, 1, 9]), 13, Interpolation),
    "cubic": ({"mode": "cubic"}, floats(1, 1, 1.5, 2), 13, Interpolation),
    "cubic of another coefficient": ({"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
                                     floats(1, 1, 2, 2), 13, Interpolation),
    "linear, by symmetry": ({"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"},
                            floats(1, 1, 1.3, 0.8), 19, Interpolation),
}  # fmt: skip


@pytest.mark.parametrize("name", RESIZES)
def test_images_are_resized(name: str) -> None:
    attributes, how, opset, kind = RESIZES[name]
    inputs = ["x", "", "how"] if how.dtype.kind == "f" else ["x", "", "", "how"]
    network = graph(
        [node("Resize", inputs, ["y"], **attributes)], {"x": [2, *IMAGE.shape[1:]]}, ["y"], {"how": how}, opset
    )
    model = assert_as_onnxruntime(network, IMAGE, tolerance=1e-5)
    assert any(isinstance(item, kind) for item in model.layers)


def test_the_resize_of_version_10_and_upsample_stand_at_the_corner() -> None:
    for opset, name in ((10, "Resize"), (9, "Upsample")):
        for mode in ("nearest", "linear"):
            _compared([node(name, ["x", "s"], ["y"], mode=mode)], {"s": floats(1, 1, 2, 3)}, opset)
    network = graph([node("Upsample", ["x"], ["y"], scales=[1.0, 1.0, 2.0, 2.0])], {"x": ["N", 3, 7, 6]}, ["y"], {}, 7)
    assert_as_onnxruntime(network, IMAGE)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"coordinate_transformation_mode": "tf_crop_and_resize"}, "tf_crop_and_resize"),
        ({"mode": "linear", "antialias": 1}, "antialias"),
        ({"keep_aspect_ratio_policy": "not_larger"}, "not_larger"),
    ],
)
def test_resizing_that_is_not_supported_is_refused(attributes: Any, message: str) -> None:
    item = node("Resize", ["x", "", "s"], ["y"], **attributes)
    with pytest.raises(ValueError, match=message):
        imported(graph([item], {"x": ["N", 3, 8, 8]}, ["y"], {"s": floats(1, 1, 0.5, 0.5)}, 18))


TRANSPOSED: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "plain": ({}, (3, 4, 3, 2)),
    "strides and padding": ({"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}, (3, 4, 3, 3)),
    "uneven padding": ({"strides": [2, 3], "pads": [0, 1, 1, 2]}, (3, 4, 3, 4)),
    "dilations": ({"dilations": [2, 1]}, (3, 2, 2, 3)),
    "groups": ({"group": 3, "strides": [2, 2]}, (3, 2, 2, 2)),
    "the same size, times strides": ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (3, 2, 3, 3)),
    "the same, the rest in front": ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (3, 2, 3, 3)),
    "of a given size": ({"output_shape": [14, 12], "strides": [2, 2]}, (3, 2, 3, 3)),
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolutions(name: str) -> None:
    attributes, shape = TRANSPOSED[name]
    constants = {"w": RNG.normal(size=shape).astype(np.float32)}
    constants["b"] = RNG.normal(size=shape[1] * attributes.get("group", 1)).astype(np.float32)
    _compared([node("ConvTranspose", ["x", "w", "b"], ["y"], **attributes)], constants, 13)


POOLS: dict[str, tuple[NodeProto, type]] = {
    "plain": (node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2]), MaxPooling2D),
    "the same size": (node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]), MaxPooling2D),
    "uneven padding": (node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 2], pads=[2, 0, 0, 1]),
                       WindowPooling),
    "one window more": (node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), WindowPooling),
    "with gaps": (node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], dilations=[2, 3], pads=[1, 0, 2, 1]),
                  WindowPooling),
    "lower": (node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], auto_pad="SAME_LOWER"), WindowPooling),
    "mean": (node("AveragePool", ["x"], ["y"], kernel_shape=[2, 3], strides=[1, 2]), AveragePooling2D),
    "mean of what is there": (node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 2, 1], strides=[2, 2]),
                              WindowPooling),
    "mean of zeros, too": (
        node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        AveragePooling2D,
    ),
    "mean of zeros, one window more": (
        node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 3], count_include_pad=1,
             ceil_mode=1),
        WindowPooling,
    ),
    "mean with gaps": (
        node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], dilations=[3, 2], pads=[1, 1, 0, 1], strides=[2, 1]),
        WindowPooling,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POOLS)
def test_pooling(name: str) -> None:
    item, kind = POOLS[name]
    model = _compared([item], {}, 19)
    assert any(isinstance(layer, kind) for layer in model.layers)


def test_statistics_for_each_position() -> None:
    parameters = {name: RNG.random(size=(3, 7, 6)).astype(np.float32) for name in "sbmv"}
    nodes = [node("BatchNormalization", ["x", *"sbmv"], ["y"], spatial=0)]
    network = graph(nodes, {"x": ["N", 3, 7, 6]}, ["y"], parameters, 7)
    model = imported(network)
    found = np.asarray(model(IMAGE))
    centred = (IMAGE - parameters["m"]) / np.sqrt(parameters["v"] + 1e-5)
    np.testing.assert_allclose(found, centred * parameters["s"] + parameters["b"], rtol=1e-4, atol=1e-5)
    assert any(isinstance(layer, BatchNormalization) for layer in model.layers)


def test_statistics_for_each_position_behind_a_convolution_are_turned() -> None:
    parameters = {name: RNG.random(size=(4, 7, 6)).astype(np.float32) for name in "sbmv"}
    kernel = RNG.normal(size=(4, 3, 1, 1)).astype(np.float32)
    plain = [node("Conv", ["x", "w"], ["c"])]
    network = graph(
        [*plain, node("BatchNormalization", ["c", *"sbmv"], ["y"], spatial=0)], {"x": ["N", 3, 7, 6]}, ["y"],
        {"w": kernel, **parameters}, 7,
    )  # fmt: skip
    seen = np.einsum("nchw,kc->nkhw", IMAGE, kernel[:, :, 0, 0])
    expected = (seen - parameters["m"]) / np.sqrt(parameters["v"] + 1e-5) * parameters["s"] + parameters["b"]
    model = imported(network)
    np.testing.assert_allclose(np.asarray(model(IMAGE)), expected, rtol=1e-3, atol=1e-4)
    assert transposes(model) <= 2


def test_an_image_scaler_scales_and_shifts_channels() -> None:
    network = graph(
        [node("ImageScaler", ["x"], ["y"], scale=0.5, bias=[1.0, -2.0, 3.0])], {"x": ["N", 3, 7, 6]}, ["y"], {}, 7
    )
    expected = IMAGE * 0.5 + np.asarray([1, -2, 3], np.float32)[:, None, None]
    np.testing.assert_allclose(np.asarray(imported(network)(IMAGE)), expected, rtol=1e-6)


def test_layer_normalization_gives_its_statistics() -> None:
    constants = {"s": RNG.normal(size=6).astype(np.float32), "b": RNG.normal(size=6).astype(np.float32)}
    item = node("LayerNormalization", ["x", "s", "b"], ["y", "m", "d"])
    network = graph([item], {"x": ["N", 3, 7, 6]}, ["y", "m", "d"], constants, 17)
    assert_as_onnxruntime(network, IMAGE)
