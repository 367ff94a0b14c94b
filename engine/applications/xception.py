"""Xception: separable convolutions with residuals (Chollet 2016, arXiv:1610.02357)."""

from __future__ import annotations

from typing import Any

from engine import layers
from engine.applications.architecture import build, channel_axis
from engine.applications.imagenet_utils import decode_predictions
from engine.applications.imagenet_utils import preprocess_input as _preprocess_input
from engine.applications.published import weights_files
from engine.applications.request import Request

_MIDDLE_WIDTH = 728


def _normalized(x: Any, name: str | None = None) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), name=name)(x)


def _activated(x: Any, name: str) -> Any:
    return layers.Activation("relu", name=f"{name}_act")(x)


def _convolution(x: Any, filters: int, stride: int, name: str) -> Any:
    x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=name)(x)
    return _activated(_normalized(x, f"{name}_bn"), name)


def _separable(x: Any, filters: int, name: str) -> Any:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return _normalized(x, f"{name}_bn")


def _halving_block(x: Any, widths: tuple[int, int], number: int) -> Any:
    """Two separable convolutions and a pooling, beside a projection."""
    residual = layers.Conv2D(widths[1], 1, strides=2, padding="same", use_bias=False)(x)
    residual = _normalized(residual)
    for index, filters in enumerate(widths, start=1):
        name = f"block{number}_sepconv{index}"
        if number > 2 or index > 1:  # the convolution before the first block has activated already
            x = _activated(x, name)
        x = _separable(x, filters, name)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"block{number}_pool")(x)
    return layers.Add()([x, residual])


def _middle_block(x: Any, number: int) -> Any:
    """Three separable convolutions beside the input itself."""
    residual = x
    for index in (1, 2, 3):
        name = f"block{number}_sepconv{index}"
        x = _separable(_activated(x, name), _MIDDLE_WIDTH, name)
    return layers.Add()([x, residual])


def _body(x: Any) -> Any:
    x = _convolution(x, 32, 2, "block1_conv1")
    x = _convolution(x, 64, 1, "block1_conv2")
    for number, filters in ((2, 128), (3, 256), (4, _MIDDLE_WIDTH)):
        x = _halving_block(x, (filters, filters), number)
    for number in range(5, 13):
        x = _middle_block(x, number)
    x = _halving_block(x, (_MIDDLE_WIDTH, 1024), 13)
    for index, filters in ((1, 1536), (2, 2048)):
        name = f"block14_sepconv{index}"
        x = _activated(_separable(x, filters, name), name)
    return x


def Xception(  # noqa: N802  (Keras's name)
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "xception",
) -> Any:
    """Xception (`keras.applications.Xception`); images are prepared by `preprocess_input`, mode "tf".

    Args:
        include_top: whether the classifier is part of the model.
        weights: "imagenet" (downloaded on first use), None (random), or the path of a `.keras`, `.weights.h5` or
            `.h5` file.
        input_tensor: a placeholder to begin with; default: a new input.
        input_shape: (rows, columns, 3) of at least 71 pixels; default: (299, 299, 3), any size without the top.
        pooling: without the top: None (rows, columns and 2048 channels), "avg" or "max" (2048 channels).
        classes: the number of classes.
        classifier_activation: None gives logits.
        name: the model's.

    Raises:
        ValueError: arguments that do not fit, or weights that do not.
        ConnectionError: the weights cannot be fetched.
    """
    request = Request(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
        default_size=299, min_size=71,
    )  # fmt: skip
    return build(request, _body, name, weights_files("xception"))


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels as Xception expects them: `imagenet_utils.preprocess_input` with mode "tf"."""
    return _preprocess_input(x, data_format, mode="tf")


__all__ = ["Xception", "decode_predictions", "preprocess_input"]
