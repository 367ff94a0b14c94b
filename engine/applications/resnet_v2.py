"""ResNet V2 50, 101 and 152, whose blocks activate first (He, Zhang, Ren, Sun 2016, arXiv:1603.05027)."""

from __future__ import annotations

from typing import Any

from engine import layers
from engine.applications.architecture import Block, build
from engine.applications.imagenet_utils import decode_predictions
from engine.applications.imagenet_utils import preprocess_input as _preprocess_input
from engine.applications.published import weights_files
from engine.applications.request import Request
from engine.applications.resnet import POOLING_NAMES, WIDTHS, activated, stem, stem_pool


def _block(x: Any, filters: int, stride: int, projected: bool, name: str) -> Any:
    """A bottleneck that activates first; its shortcut is a projection, the input, or every `stride`-th pixel of it."""
    active = activated(x, f"{name}_preact_bn", f"{name}_preact_relu")
    if projected:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(active)
    else:
        shortcut = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(active)
    x = activated(x, f"{name}_1_bn", f"{name}_1_relu")
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name=f"{name}_2_pad")(x)
    x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x)
    x = activated(x, f"{name}_2_bn", f"{name}_2_relu")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return layers.Add(name=f"{name}_out")([shortcut, x])


def _body(depths: tuple[int, ...]) -> Block:
    def body(x: Any) -> Any:
        x = stem_pool(stem(x))
        for stack, (filters, depth) in enumerate(zip(WIDTHS, depths, strict=True), start=2):
            for number in range(1, depth + 1):
                # The size is halved by the last block of a stack, not by the first.
                stride = 2 if number == depth and stack < 5 else 1
                x = _block(x, filters, stride, projected=number == 1, name=f"conv{stack}_block{number}")
        return activated(x, "post_bn", "post_relu")

    return body


def ResNet50V2(  # noqa: N802  (Keras's name)
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet50v2",
) -> Any:
    """ResNet V2 with 50 layers (`keras.applications.ResNet50V2`); images are prepared by `preprocess_input`, mode "tf".

    Arguments and errors as for `ResNet50`.
    """
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((3, 4, 6, 3)), name, weights_files("resnet50v2"), pooling_names=POOLING_NAMES)


def ResNet101V2(  # noqa: N802
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet101v2",
) -> Any:
    """ResNet V2 with 101 layers (`keras.applications.ResNet101V2`). Arguments and errors as for `ResNet50`."""
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((3, 4, 23, 3)), name, weights_files("resnet101v2"), pooling_names=POOLING_NAMES)


def ResNet152V2(  # noqa: N802
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet152v2",
) -> Any:
    """ResNet V2 with 152 layers (`keras.applications.ResNet152V2`). Arguments and errors as for `ResNet50`."""
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((3, 8, 36, 3)), name, weights_files("resnet152v2"), pooling_names=POOLING_NAMES)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels as ResNet V2 expects them: `imagenet_utils.preprocess_input` with mode "tf"."""
    return _preprocess_input(x, data_format, mode="tf")


__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]
