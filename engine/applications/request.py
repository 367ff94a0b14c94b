"""Request: the arguments that all architectures share, checked by Keras's rules before anything is built."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from engine import activations
from engine.config import image_data_format

Shape = tuple[int | None, ...]

_CLASSES = 1000
_POOLINGS = (None, "avg", "max")


@dataclass
class Request:
    """What the caller of an architecture asks for.

    Args:
        include_top: whether the classifier is part of the model.
        weights: None (random), "imagenet" (those that Keras publishes), or the path of a file.
        input_tensor: the placeholder to begin with; default: a new input of `input_shape`.
        input_shape: (rows, columns, channels), or channels first where that is the global data format; becomes the
            shape that is meant where it is None.
        pooling: without the top: None (a map of features), "avg" or "max" over rows and columns.
        classes: the number of classes of the top.
        classifier_activation: of the top; None gives logits.
        default_size: rows and columns where no shape is given.
        min_size: the fewest rows and columns that the network can take.

    Raises:
        ValueError: names the argument, what was expected and what came.
    """

    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: Any
    pooling: str | None
    classes: int
    classifier_activation: Any
    default_size: int = 224
    min_size: int = 32

    def __post_init__(self) -> None:
        if self.weights not in (None, "imagenet") and not os.path.exists(self.weights):
            raise ValueError(
                "`weights` must be None (random), 'imagenet', or the path of an existing weights file. "
                f"Received: weights={self.weights!r}"
            )
        if self.weights == "imagenet" and self.include_top and self.classes != _CLASSES:
            raise ValueError(
                f"With weights='imagenet' and include_top=True, `classes` must be {_CLASSES}. "
                f"Received: classes={self.classes}"
            )
        if self.pooling not in _POOLINGS:
            raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: pooling={self.pooling!r}")
        self.input_shape = self._resolved_shape()
        if self.include_top and self.weights is not None:
            self._check_activation()

    @property
    def spatial_shape(self) -> Shape:
        """The rows and columns of `input_shape`."""
        return split_shape(self.input_shape)[0]

    def _check_activation(self) -> None:
        allowed = (activations.get("softmax"), activations.get(None))
        if activations.get(self.classifier_activation) not in allowed:
            raise ValueError(
                "With given weights and include_top=True, `classifier_activation` must be 'softmax' or None. "
                f"Received: classifier_activation={self.classifier_activation!r}"
            )

    def _resolved_shape(self) -> Shape:
        given = checked_shape(self.input_shape)
        pretrained = self.weights == "imagenet"
        sizes: Shape
        sizes, channels = (self.default_size, self.default_size), 3
        if given and not pretrained:
            channels = split_shape(given)[1]
            if channels not in (1, 3):
                warnings.warn(
                    f"Images usually have 1 or 3 channels, but `input_shape` {given} has {channels}.", stacklevel=5
                )
        default = _joined_shape(sizes, channels)
        if pretrained and self.include_top:
            if given not in (None, default):
                raise ValueError(
                    f"With weights='imagenet' and include_top=True, `input_shape` must be {default}. Received: {given}"
                )
            return default
        if not given:
            return default if self.include_top else _joined_shape((None, None), 3)
        self._check_shape(given)
        return given

    def _check_shape(self, shape: Shape) -> None:
        sizes, channels = split_shape(shape)
        if self.weights == "imagenet" and channels != 3:
            raise ValueError(f"With weights='imagenet' the input must have 3 channels. Received: input_shape={shape}")
        if any(size is not None and size < self.min_size for size in sizes):
            raise ValueError(
                f"The input must have at least {self.min_size}x{self.min_size} pixels. Received: input_shape={shape}"
            )
        if self.include_top and None in shape:
            raise ValueError(f"With include_top=True, `input_shape` must be fully known. Received: {shape}")


def checked_shape(input_shape: Any) -> Shape | None:
    """The caller's `input_shape` as a tuple; None where none is given.

    Raises:
        ValueError: it is not three lengths.
    """
    if input_shape is None:
        return None
    if (
        not isinstance(input_shape, (tuple, list))
        or len(input_shape) != 3
        or not all(length is None or isinstance(length, Integral) for length in input_shape)
    ):
        raise ValueError(f"`input_shape` must be three lengths, without the batch axis. Received: {input_shape!r}")
    return tuple(input_shape)


def split_shape(shape: Shape) -> tuple[Shape, Any]:
    """(rows, columns) and the number of channels of an image shape in the global data format."""
    if image_data_format() == "channels_first":
        return shape[-2:], shape[-3]
    return shape[-3:-1], shape[-1]


def _joined_shape(sizes: Shape, channels: Any) -> Shape:
    return (channels, *sizes) if image_data_format() == "channels_first" else (*sizes, channels)
