"""ResNet 50, 101 and 152 (He, Zhang, Ren, Sun 2015, arXiv:1512.03385), and the frame that ResNet V2 shares."""

from __future__ import annotations

from typing import Any

from engine import layers
from engine.applications.architecture import Block, build, channel_axis
from engine.applications.imagenet_utils import decode_predictions
from engine.applications.imagenet_utils import preprocess_input as _preprocess_input
from engine.applications.published import weights_files
from engine.applications.request import Request

POOLING_NAMES = ("avg_pool", "max_pool")
WIDTHS = (64, 128, 256, 512)
_EPSILON = 1.001e-5


def normalized(x: Any, name: str) -> Any:
    """Batch normalisation with the epsilon of all ResNets."""
    return layers.BatchNormalization(axis=channel_axis(3), epsilon=_EPSILON, name=name)(x)


def activated(x: Any, bn_name: str, relu_name: str) -> Any:
    """Batch normalisation, then ReLU."""
    return layers.Activation("relu", name=relu_name)(normalized(x, bn_name))


def stem(x: Any) -> Any:
    """The first convolution: from images to 64 channels at half their size."""
    x = layers.ZeroPadding2D(((3, 3), (3, 3)), name="conv1_pad")(x)
    return layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)


def stem_pool(x: Any) -> Any:
    """The pooling before the first stack, to a quarter of the images' size."""
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name="pool1_pad")(x)
    return layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)


def _block(x: Any, filters: int, stride: int, projected: bool, name: str) -> Any:
    """A bottleneck of three convolutions beside a shortcut, which is a projection where the shape changes."""
    shortcut = x
    if projected:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x)
        shortcut = normalized(shortcut, f"{name}_0_bn")
    x = layers.Conv2D(filters, 1, strides=stride, name=f"{name}_1_conv")(x)
    x = activated(x, f"{name}_1_bn", f"{name}_1_relu")
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x)
    x = activated(x, f"{name}_2_bn", f"{name}_2_relu")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    x = normalized(x, f"{name}_3_bn")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _body(depths: tuple[int, ...]) -> Block:
    def body(x: Any) -> Any:
        x = stem_pool(activated(stem(x), "conv1_bn", "conv1_relu"))
        for stack, (filters, depth) in enumerate(zip(WIDTHS, depths, strict=True), start=2):
            for number in range(1, depth + 1):
                stride = 2 if number == 1 and stack > 2 else 1
                x = _block(x, filters, stride, projected=number == 1, name=f"conv{stack}_block{number}")
        return x

    return body


def ResNet50(  # noqa: N802  (Keras's name)
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet50",
) -> Any:
    """ResNet with 50 layers (`keras.applications.ResNet50`); images are prepared by `preprocess_input`, mode "caffe".

    Args:
        include_top: whether the classifier is part of the model.
        weights: "imagenet" (downloaded on first use), None (random), or the path of a `.keras`, `.weights.h5` or
            `.h5` file.
        input_tensor: a placeholder to begin with; default: a new input.
        input_shape: (rows, columns, 3) of at least 32 pixels; default: (224, 224, 3), any size without the top.
        pooling: without the top: None (rows, columns and 2048 channels), "avg" or "max" (2048 channels).
        classes: the number of classes.
        classifier_activation: None gives logits.
        name: the model's.

    Raises:
        ValueError: arguments that do not fit, or weights that do not.
        ConnectionError: the weights cannot be fetched.
    """
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((3, 4, 6, 3)), name, weights_files("resnet50"), pooling_names=POOLING_NAMES)


def ResNet101(  # noqa: N802
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet101",
) -> Any:
    """ResNet with 101 layers (`keras.applications.ResNet101`). Arguments and errors as for `ResNet50`."""
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((3, 4, 23, 3)), name, weights_files("resnet101"), pooling_names=POOLING_NAMES)


def ResNet152(  # noqa: N802
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet152",
) -> Any:
    """ResNet with 152 layers (`keras.applications.ResNet152`). Arguments and errors as for `ResNet50`."""
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((3, 8, 36, 3)), name, weights_files("resnet152"), pooling_names=POOLING_NAMES)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels as ResNet expects them: `imagenet_utils.preprocess_input` with mode "caffe"."""
    return _preprocess_input(x, data_format, mode="caffe")


__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]
