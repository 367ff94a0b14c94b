"""MobileNetV2: narrow residuals, wide depthwise convolutions between (Sandler et al. 2018, arXiv:1801.04381)."""

from __future__ import annotations

from typing import Any

from engine import layers
from engine.applications.architecture import Block, build, channel_axis, pooled_classifier
from engine.applications.imagenet_utils import decode_predictions
from engine.applications.imagenet_utils import preprocess_input as _preprocess_input
from engine.applications.mobilenet import check_published, published_size
from engine.applications.published import mobilenet_files
from engine.applications.request import Request, checked_shape, split_shape
from engine.ops.operation import is_keras_tensor

_WEIGHTS_SIZES = (96, 128, 160, 192, 224)
_WEIGHTS_ALPHAS = (0.35, 0.50, 0.75, 1.0, 1.3, 1.4)
_EXPANSION = 6
# By block: the filters of its output, and the stride of its depthwise convolution.
_BLOCKS = (
    (16, 1), (24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1), (96, 1), (96, 1),
    (96, 1), (160, 2), (160, 1), (160, 1), (320, 1),
)  # fmt: skip


def _multiple_of_8(count: float) -> int:
    """The multiple of 8 next to a number of filters, but not below nine tenths of it."""
    rounded = max(8, int(count + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * count else rounded


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), epsilon=1e-3, momentum=0.999, name=name)(x)


def _activated(x: Any, bn_name: str, relu_name: str) -> Any:
    return layers.ReLU(6.0, name=relu_name)(_normalized(x, bn_name))


def _same_padding(x: Any) -> tuple[tuple[int, int], ...]:
    """What a window of 3 with stride 2 needs on either side so that it begins as "same" padding would."""
    sizes, _ = split_shape(x.shape)
    return tuple((1 if size is not None and size % 2 else 0, 1) for size in sizes)


def _block(x: Any, filters: int, stride: int, number: int) -> Any:
    """Expansion (not in the first block), depthwise convolution, projection; residual where the shape stays."""
    inputs, channels = x, split_shape(x.shape)[1]
    prefix = f"block_{number}_" if number else "expanded_conv_"
    if number:
        x = layers.Conv2D(_EXPANSION * channels, 1, padding="same", use_bias=False, name=f"{prefix}expand")(x)
        x = _activated(x, f"{prefix}expand_BN", f"{prefix}expand_relu")
    if stride > 1:
        x = layers.ZeroPadding2D(_same_padding(x), name=f"{prefix}pad")(x)
    padding = "same" if stride == 1 else "valid"
    x = layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False, name=f"{prefix}depthwise")(x)
    x = _activated(x, f"{prefix}depthwise_BN", f"{prefix}depthwise_relu")
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{prefix}project")(x)
    x = _normalized(x, f"{prefix}project_BN")
    if stride == 1 and channels == filters:
        x = layers.Add(name=f"{prefix}add")([inputs, x])
    return x


def _body(alpha: float) -> Block:
    def body(x: Any) -> Any:
        first = _multiple_of_8(32 * alpha)
        x = layers.Conv2D(first, 3, strides=2, padding="same", use_bias=False, name="Conv1")(x)
        x = _activated(x, "bn_Conv1", "Conv1_relu")
        for number, (filters, stride) in enumerate(_BLOCKS):
            x = _block(x, _multiple_of_8(int(filters * alpha)), stride, number)
        # Widths below 1 leave the last layer as it is.
        last = _multiple_of_8(1280 * alpha) if alpha > 1.0 else 1280
        x = layers.Conv2D(last, 1, use_bias=False, name="Conv_1")(x)
        return _activated(x, "Conv_1_bn", "out_relu")

    return body


def _top(x: Any, request: Request) -> Any:
    return pooled_classifier(x, request, pool_name=None)


def MobileNetV2(  # noqa: N802  (Keras's name)
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Any:
    """MobileNetV2 (`keras.applications.MobileNetV2`); images are prepared by `preprocess_input`, mode "tf".

    Args:
        input_shape: (rows, columns, 3) of at least 32 pixels; default: (224, 224, 3), any size without the top.
        alpha: the width: how many filters, as a multiple of the paper's.
        include_top: whether the classifier is part of the model.
        weights: "imagenet" (downloaded on first use, for some widths and sizes), None (random), or the path of a
            `.keras`, `.weights.h5` or `.h5` file.
        input_tensor: a placeholder to begin with; default: a new input.
        pooling: without the top: None (rows, columns and channels), "avg" or "max" (channels).
        classes: the number of classes.
        classifier_activation: None gives logits.
        name: the model's; default: "mobilenetv2_<alpha>_<rows>".

    Raises:
        ValueError: arguments that do not fit, or weights that do not.
        ConnectionError: the weights cannot be fetched.
    """
    shape = checked_shape(input_shape)
    sizes = None if shape is None else split_shape(shape)[0]
    if is_keras_tensor(input_tensor):
        given = split_shape(input_tensor.shape)[0]
        if sizes is not None and tuple(sizes) != given:
            raise ValueError(
                f"`input_shape` and `input_tensor` must have the same rows and columns. Received: {input_shape} and "
                f"{input_tensor.shape[1:]}"
            )
        sizes = given
    default_size = (sizes and published_size(sizes, _WEIGHTS_SIZES)) or 224
    request = Request(
        include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, default_size
    )
    size = request.spatial_shape[0]
    if weights == "imagenet":
        size = check_published(alpha, _WEIGHTS_ALPHAS, request.spatial_shape, _WEIGHTS_SIZES)
    files = mobilenet_files(2, alpha, size or 224)
    return build(request, _body(alpha), name or f"mobilenetv2_{alpha:0.2f}_{size}", files, top=_top)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels as MobileNetV2 expects them: `imagenet_utils.preprocess_input` with mode "tf"."""
    return _preprocess_input(x, data_format, mode="tf")


__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]
