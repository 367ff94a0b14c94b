"""MobileNet: depthwise and 1×1 convolutions in turn (Howard et al. 2017, arXiv:1704.04861)."""

from __future__ import annotations

import warnings
from typing import Any

from engine import layers
from engine.applications.architecture import Block, build, channel_axis
from engine.applications.imagenet_utils import decode_predictions
from engine.applications.imagenet_utils import preprocess_input as _preprocess_input
from engine.applications.published import mobilenet_files
from engine.applications.request import Request, checked_shape, split_shape

_WEIGHTS_SIZES = (128, 160, 192, 224)
_WEIGHTS_ALPHAS = (0.25, 0.50, 0.75, 1.0)
# By block: the filters, and the stride of the depthwise convolution.
_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip


def published_size(sizes: Any, known: tuple[int, ...]) -> int | None:
    """The side of square images for which weights are published, else None."""
    rows, columns = sizes
    return rows if rows == columns and rows in known else None


def check_published(alpha: float, alphas: tuple[float, ...], sizes: Any, known: tuple[int, ...]) -> int:
    """The image size whose published weights are meant; warns where it is not the model's own.

    Raises:
        ValueError: no weights are published for the width.
    """
    if alpha not in alphas:
        raise ValueError(f"With weights='imagenet', `alpha` must be one of {alphas}. Received: alpha={alpha}")
    size = published_size(sizes, known)
    if size is None:
        warnings.warn(
            f"Weights are published for square images of {known} pixels, not for {tuple(sizes)}: those for 224 are "
            "loaded.",
            stacklevel=3,
        )
    return size or 224


def _activated(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(axis=channel_axis(), name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _block(x: Any, filters: int, stride: int, depth_multiplier: int, number: int) -> Any:
    if stride > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        depth_multiplier=depth_multiplier,
        use_bias=False,
        name=f"conv_dw_{number}",
    )(x)
    x = _activated(x, f"conv_dw_{number}")
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{number}")(x)
    return _activated(x, f"conv_pw_{number}")


def _body(alpha: float, depth_multiplier: int) -> Block:
    def body(x: Any) -> Any:
        x = layers.Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
        x = _activated(x, "conv1")
        for number, (filters, stride) in enumerate(_BLOCKS, start=1):
            x = _block(x, int(filters * alpha), stride, depth_multiplier, number)
        return x

    return body


def MobileNet(  # noqa: N802  (Keras's name)
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Any:
    """MobileNet (`keras.applications.MobileNet`); images are prepared by `preprocess_input`, mode "tf".

    Args:
        input_shape: (rows, columns, 3) of at least 32 pixels; default: (224, 224, 3), any size without the top.
        alpha: the width: how many filters, as a multiple of the paper's.
        depth_multiplier: kernels for each channel of the depthwise convolutions.
        dropout: the rate before the classifier.
        include_top: whether the classifier is part of the model.
        weights: "imagenet" (downloaded on first use, for some widths and sizes), None (random), or the path of a
            `.keras`, `.weights.h5` or `.h5` file.
        input_tensor: a placeholder to begin with; default: a new input.
        pooling: without the top: None (rows, columns and channels), "avg" or "max" (channels).
        classes: the number of classes.
        classifier_activation: None gives logits.
        name: the model's; default: "mobilenet_<alpha>_<rows>".

    Raises:
        ValueError: arguments that do not fit, or weights that do not.
        ConnectionError: the weights cannot be fetched.
    """
    shape = checked_shape(input_shape)
    given = None if shape is None else published_size(split_shape(shape)[0], _WEIGHTS_SIZES)
    request = Request(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, given or 224
    )
    size = request.spatial_shape[0]
    if weights == "imagenet":
        if depth_multiplier != 1:
            raise ValueError(
                f"With weights='imagenet', `depth_multiplier` must be 1. Received: depth_multiplier={depth_multiplier}"
            )
        size = check_published(alpha, _WEIGHTS_ALPHAS, request.spatial_shape, _WEIGHTS_SIZES)

    def top(x: Any, request: Request) -> Any:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(request.classes, 1, padding="same", name="conv_preds")(x)
        x = layers.Reshape((request.classes,), name="reshape_2")(x)
        return layers.Activation(request.classifier_activation, name="predictions")(x)

    return build(
        request,
        _body(alpha, depth_multiplier),
        name or f"mobilenet_{alpha:0.2f}_{size}",
        mobilenet_files(1, alpha, size or 224),
        top=top,
    )


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels as MobileNet expects them: `imagenet_utils.preprocess_input` with mode "tf"."""
    return _preprocess_input(x, data_format, mode="tf")


__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]
