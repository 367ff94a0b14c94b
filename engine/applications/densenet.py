"""DenseNet 121, 169 and 201: every layer sees all before it (Huang et al. 2016, arXiv:1608.06993)."""

from __future__ import annotations

from typing import Any

from engine import layers
from engine.applications.architecture import Block, build, channel_axis
from engine.applications.imagenet_utils import decode_predictions
from engine.applications.imagenet_utils import preprocess_input as _preprocess_input
from engine.applications.published import weights_files
from engine.applications.request import Request, split_shape
from engine.applications.resnet import POOLING_NAMES, activated

_GROWTH = 32


def _layer(x: Any, name: str) -> Any:
    """A bottleneck whose `_GROWTH` new channels join those that came in."""
    new = activated(x, f"{name}_0_bn", f"{name}_0_relu")
    new = layers.Conv2D(4 * _GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(new)
    new = activated(new, f"{name}_1_bn", f"{name}_1_relu")
    new = layers.Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(new)
    return layers.Concatenate(axis=channel_axis(3), name=f"{name}_concat")([x, new])


def _transition(x: Any, name: str) -> Any:
    """Half the channels, half the rows and columns."""
    channels = split_shape(x.shape)[1]
    x = activated(x, f"{name}_bn", f"{name}_relu")
    x = layers.Conv2D(channels // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def _body(depths: tuple[int, ...]) -> Block:
    def body(x: Any) -> Any:
        x = layers.ZeroPadding2D(((3, 3), (3, 3)))(x)
        x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(x)
        x = activated(x, "conv1_bn", "conv1_relu")
        x = layers.ZeroPadding2D(((1, 1), (1, 1)))(x)
        x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
        for block, depth in enumerate(depths, start=2):
            for number in range(1, depth + 1):
                x = _layer(x, f"conv{block}_block{number}")
            if block < len(depths) + 1:
                x = _transition(x, f"pool{block}")
        return activated(x, "bn", "relu")

    return body


def DenseNet121(  # noqa: N802  (Keras's name)
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet121",
) -> Any:
    """DenseNet with 121 layers (`keras.applications.DenseNet121`); images by `preprocess_input`, mode "torch".

    Args:
        include_top: whether the classifier is part of the model.
        weights: "imagenet" (downloaded on first use), None (random), or the path of a `.keras`, `.weights.h5` or
            `.h5` file.
        input_tensor: a placeholder to begin with; default: a new input.
        input_shape: (rows, columns, 3) of at least 32 pixels; default: (224, 224, 3), any size without the top.
        pooling: without the top: None (rows, columns and channels), "avg" or "max" (channels).
        classes: the number of classes.
        classifier_activation: None gives logits.
        name: the model's.

    Raises:
        ValueError: arguments that do not fit, or weights that do not.
        ConnectionError: the weights cannot be fetched.
    """
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((6, 12, 24, 16)), name, weights_files("densenet121"), pooling_names=POOLING_NAMES)


def DenseNet169(  # noqa: N802
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet169",
) -> Any:
    """DenseNet with 169 layers (`keras.applications.DenseNet169`). Arguments and errors as for `DenseNet121`."""
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((6, 12, 32, 32)), name, weights_files("densenet169"), pooling_names=POOLING_NAMES)


def DenseNet201(  # noqa: N802
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet201",
) -> Any:
    """DenseNet with 201 layers (`keras.applications.DenseNet201`). Arguments and errors as for `DenseNet121`."""
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((6, 12, 48, 32)), name, weights_files("densenet201"), pooling_names=POOLING_NAMES)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels as DenseNet expects them: `imagenet_utils.preprocess_input` with mode "torch"."""
    return _preprocess_input(x, data_format, mode="torch")


__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]
