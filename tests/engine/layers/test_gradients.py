"""Gradients of layers against numerical differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine import layers
from tests.engine.gradient_check import gradients, numerical_gradients
from tests.engine.layers.cases import Case

SMALL = [
    Case("Dense", {"units": 3, "activation": "gelu"}, ((2, 4),)),
    Case("Conv1D", {"filters": 2, "kernel_size": 2, "padding": "causal", "activation": "tanh"}, ((1, 5, 2),)),
    Case("Conv2D", {"filters": 2, "kernel_size": 2, "strides": 2, "padding": "same"}, ((1, 5, 3, 2),)),
    Case("Conv2D", {"filters": 4, "kernel_size": 2, "groups": 2, "data_format": "channels_first"}, ((1, 2, 3, 3),)),
    Case("DepthwiseConv2D", {"kernel_size": 2, "depth_multiplier": 2}, ((1, 3, 3, 2),)),
    Case("SeparableConv2D", {"filters": 2, "kernel_size": 2, "depth_multiplier": 2}, ((1, 3, 3, 2),)),
    Case("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}, ((1, 2, 3, 2),)),
    Case("MaxPooling2D", {"padding": "same"}, ((1, 3, 4, 2),)),
    Case("AveragePooling2D", {"pool_size": 2, "strides": 1}, ((1, 3, 3, 2),)),
    Case("GlobalAveragePooling2D", {}, ((2, 3, 3, 2),)),
    Case("BatchNormalization", {}, ((4, 3),)),
    Case("LayerNormalization", {}, ((2, 4),)),
    Case("Flatten", {"data_format": "channels_first"}, ((2, 2, 3),)),
    Case("ZeroPadding2D", {"padding": ((1, 0), (2, 1))}, ((1, 2, 2, 1),)),
    Case("UpSampling2D", {}, ((1, 2, 3, 1),)),
    Case("Multiply", {}, ((2, 3), (2, 3))),
    Case("Concatenate", {"axis": 1}, ((2, 3), (2, 2))),
    Case("Softmax", {}, ((2, 4),)),
    Case("LeakyReLU", {}, ((2, 4),)),
    Case("ELU", {}, ((2, 4),)),
    Case("PReLU", {}, ((2, 4),)),
    Case("EinsumDense", {"equation": "abc,cde->abde", "output_shape": (None, 2, 2), "bias_axes": "d"}, ((1, 2, 3),)),
    Case("Attention", {"score_mode": "concat", "use_scale": True}, ((1, 2, 3), (1, 3, 3))),
    Case("AdditiveAttention", {}, ((1, 2, 3), (1, 3, 3))),
    Case("GroupNormalization", {"groups": 2}, ((1, 2, 4),)),
    Case("RMSNormalization", {}, ((2, 4),)),
    Case("UnitNormalization", {}, ((2, 3),)),
    Case("LayerNormalization", {"rms_scaling": True}, ((2, 4),)),
    Case("Dot", {"axes": (2, 1), "normalize": True}, ((1, 2, 3), (1, 3, 2))),
    Case("AdaptiveAveragePooling2D", {"output_size": (2, 3)}, ((1, 3, 4, 1),)),
    Case("AdaptiveMaxPooling1D", {"output_size": 3}, ((1, 5, 2),)),
    Case("UpSampling2D", {"interpolation": "bicubic"}, ((1, 2, 2, 1),)),
    Case("Activation", {"activation": "sparsemax"}, ((3, 4),)),
]


BOTH_MODES = [(case, False) for case in SMALL] + [(case, True) for case in SMALL if case.layer == "BatchNormalization"]


@pytest.mark.parametrize(("case", "training"), BOTH_MODES, ids=lambda item: getattr(item, "name", str(item)))
def test_gradients_equal_numerical_differences(case: Case, training: bool) -> None:
    layer: Any = getattr(layers, case.layer)(**case.options, dtype="float64")
    shapes = list(case.shapes)
    layer.build(shapes if len(shapes) > 1 else shapes[0])
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=shape) for shape in shapes]
    weights = [v for v in layer.weights if v.trainable]
    names = {id(v): name for name, v in vars(layer).items() if any(v is w for w in weights)}
    values = [rng.uniform(0.5, 1.5, v.shape) for v in weights]

    def call(*arguments: Any) -> Any:
        for variable, value in zip(weights, arguments[len(inputs) :], strict=True):
            object.__setattr__(layer, names[id(variable)], value)
        given = list(arguments[: len(inputs)])
        extra = {"training": True} if training else {}
        return layer(given if len(given) > 1 else given[0], **extra)

    for received, expected in zip(
        gradients(call, *inputs, *values), numerical_gradients(call, *inputs, *values), strict=True
    ):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)
