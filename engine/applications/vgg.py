"""VGG 16 and 19 (Simonyan, Zisserman 2014, arXiv:1409.1556)."""

from __future__ import annotations

from typing import Any

from engine import layers
from engine.applications.architecture import Block, build, predictions
from engine.applications.imagenet_utils import decode_predictions
from engine.applications.imagenet_utils import preprocess_input as _preprocess_input
from engine.applications.published import weights_files
from engine.applications.request import Request

_WIDTHS = (64, 128, 256, 512, 512)


def _body(depths: tuple[int, ...]) -> Block:
    def body(x: Any) -> Any:
        for block, (filters, depth) in enumerate(zip(_WIDTHS, depths, strict=True), start=1):
            for number in range(1, depth + 1):
                name = f"block{block}_conv{number}"
                x = layers.Conv2D(filters, 3, activation="relu", padding="same", name=name)(x)
            x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
        return x

    return body


def _top(x: Any, request: Request) -> Any:
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(4096, activation="relu", name="fc1")(x)
    x = layers.Dense(4096, activation="relu", name="fc2")(x)
    return predictions(x, request)


def VGG16(  # noqa: N802  (Keras's name)
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg16",
) -> Any:
    """VGG with 16 layers (`keras.applications.VGG16`); images are prepared by `preprocess_input`, mode "caffe".

    Args:
        include_top: whether the classifier is part of the model.
        weights: "imagenet" (downloaded on first use), None (random), or the path of a `.keras`, `.weights.h5` or
            `.h5` file.
        input_tensor: a placeholder to begin with; default: a new input.
        input_shape: (rows, columns, 3) of at least 32 pixels; default: (224, 224, 3), any size without the top.
        pooling: without the top: None (rows, columns and 512 channels), "avg" or "max" (512 channels).
        classes: the number of classes.
        classifier_activation: None gives logits.
        name: the model's.

    Raises:
        ValueError: arguments that do not fit, or weights that do not.
        ConnectionError: the weights cannot be fetched.
    """
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((2, 2, 3, 3, 3)), name, weights_files("vgg16"), top=_top)


def VGG19(  # noqa: N802
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg19",
) -> Any:
    """VGG with 19 layers (`keras.applications.VGG19`). Arguments and errors as for `VGG16`."""
    request = Request(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation)
    return build(request, _body((2, 2, 4, 4, 4)), name, weights_files("vgg19"), top=_top)


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Pixels as VGG expects them: `imagenet_utils.preprocess_input` with mode "caffe"."""
    return _preprocess_input(x, data_format, mode="caffe")


__all__ = ["VGG16", "VGG19", "decode_predictions", "preprocess_input"]
