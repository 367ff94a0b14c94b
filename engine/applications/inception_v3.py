"""Inception V3: branches of different windows side by side (Szegedy et al. 2015, arXiv:1512.00567).

Layers but for the concatenations have no names of their own, so the order in which they are made is part of the
architecture: weights are known by it.
"""

from __future__ import annotations

from typing import Any

from engine import layers
from engine.applications.architecture import build, channel_axis
from engine.applications.imagenet_utils import decode_predictions
from engine.applications.imagenet_utils import preprocess_input as _preprocess_input
from engine.applications.published import weights_files
from engine.applications.request import Request

Window = int | tuple[int, int]


def _convolution(x: Any, filters: int, window: Window, stride: int = 1, padding: str = "same") -> Any:
    """Convolution, batch normalisation without a scale, ReLU."""
    x = layers.Conv2D(filters, window, strides=stride, padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization(axis=channel_axis(3), scale=False)(x)
    return layers.Activation("relu")(x)


def _chain(x: Any, *steps: tuple[int, Window]) -> Any:
    """Convolutions one after another, each of (filters, window)."""
    for filters, window in steps:
        x = _convolution(x, filters, window)
    return x


def _pooled(x: Any, filters: int) -> Any:
    x = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    return _convolution(x, filters, 1)


def _joined(branches: list[Any], name: str | None = None) -> Any:
    return layers.Concatenate(axis=channel_axis(3), name=name)(branches)


def _stem(x: Any) -> Any:
    x = _convolution(x, 32, 3, stride=2, padding="valid")
    x = _convolution(x, 32, 3, padding="valid")
    x = _convolution(x, 64, 3)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = _convolution(x, 80, 1, padding="valid")
    x = _convolution(x, 192, 3, padding="valid")
    return layers.MaxPooling2D(3, strides=2)(x)


def _square_block(x: Any, pooled: int, name: str) -> Any:
    """Windows of 1, 5 and two of 3."""
    return _joined(
        [
            _convolution(x, 64, 1),
            _chain(x, (48, 1), (64, 5)),
            _chain(x, (64, 1), (96, 3), (96, 3)),
            _pooled(x, pooled),
        ],
        name,
    )


def _first_reduction(x: Any, name: str) -> Any:
    single = _convolution(x, 384, 3, stride=2, padding="valid")
    double = _convolution(_chain(x, (64, 1), (96, 3)), 96, 3, stride=2, padding="valid")
    return _joined([single, double, layers.MaxPooling2D(3, strides=2)(x)], name)


def _factored_block(x: Any, width: int, name: str) -> Any:
    """Windows of 7, as rows and columns in turn."""
    return _joined(
        [
            _convolution(x, 192, 1),
            _chain(x, (width, 1), (width, (1, 7)), (192, (7, 1))),
            _chain(x, (width, 1), (width, (7, 1)), (width, (1, 7)), (width, (7, 1)), (192, (1, 7))),
            _pooled(x, 192),
        ],
        name,
    )


def _second_reduction(x: Any, name: str) -> Any:
    narrow = _convolution(_convolution(x, 192, 1), 320, 3, stride=2, padding="valid")
    wide = _convolution(_chain(x, (192, 1), (192, (1, 7)), (192, (7, 1))), 192, 3, stride=2, padding="valid")
    return _joined([narrow, wide, layers.MaxPooling2D(3, strides=2)(x)], name)


def _split(x: Any, name: str | None = None) -> Any:
    """A row and a column of 3 side by side."""
    return _joined([_convolution(x, 384, (1, 3)), _convolution(x, 384, (3, 1))], name)


def _wide_block(x: Any, number: int) -> Any:
    """Branches that split once more at their ends."""
    return _joined(
        [
            _convolution(x, 320, 1),
            _split(_convolution(x, 384, 1), f"mixed9_{number}"),
            _split(_chain(x, (448, 1), (384, 3))),
            _pooled(x, 192),
        ],
        f"mixed{9 + number}",
    )


def _body(x: Any) -> Any:
    x = _stem(x)
    for number, pooled in enumerate((32, 64, 64)):
        x = _square_block(x, pooled, f"mixed{number}")
    x = _first_reduction(x, "mixed3")
    for number, width in enumerate((128, 160, 160, 192), start=4):
        x = _factored_block(x, width, f"mixed{number}")
    x = _second_reduction(x, "mixed8")
    for number in (0, 1):
        x = _wide_block(x, number)
    return x


def InceptionV3(  # noqa: N802  (Keras's name)
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "inception_v3",
) -> Any:
    """Inception V3 (`keras.applications.InceptionV3`); images are prepared by `preprocess_input`, mode "tf".

    Args:
        include_top: whether the classifier is part of the model.
        weights: "imagenet" (downloaded on first use), None (random), or the path of a `.keras`, `.weights.h5` or
            `.h5` file.
        input_tensor: a placeholder to begin with; default: a new input.
        input_shape: (rows, columns, 3) of at least 75 pixels; default: (299, 299, 3), any size without the top.
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
        default_size=299, min_size=75,
    )  # fmt: skip
    return build(request, _body, name, weights_files("inception_v3"))


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels as Inception V3 expects them: `imagenet_utils.preprocess_input` with mode "tf"."""
    return _preprocess_input(x, data_format, mode="tf")


__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]
