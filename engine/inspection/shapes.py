"""Shapes of outputs from those of inputs, for the layers that image classifiers consist of, by their configurations."""

from __future__ import annotations

import math
import re
from typing import Any

Shape = tuple[int | None, ...]

_UNCHANGED = frozenset(
    {
        *("Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average", "BatchNormalization", "Dropout"),
        *("ELU", "GaussianDropout", "GaussianNoise", "GroupNormalization", "Identity", "LayerNormalization"),
        *("LeakyReLU", "Masking", "Maximum", "Minimum", "Multiply", "Normalization", "PReLU", "ReLU", "Rescaling"),
        *("Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "Subtract", "ThresholdedReLU"),
    }
)
_WINDOWED = re.compile(r"(Depthwise|Separable)?Conv[123]D|(Max|Average)Pooling[123]D")


def followed(kind: str, config: dict[str, Any], given: Shape | None) -> Shape | None:
    """The shape of what a layer gives; None where it is not known.

    Args:
        kind: the layer's class.
        config: its configuration.
        given: the shape of its first input.
    """
    if given is None:
        return None
    try:
        return _followed(kind, config, given)
    except (TypeError, ValueError, LookupError, ArithmeticError):
        return None  # what the configuration says is no shape's; loading tells


def _followed(kind: str, config: dict[str, Any], given: Shape) -> Shape | None:
    if kind in _UNCHANGED:
        return given
    if kind == "Dense":
        return (*given[:-1], config["units"]) if type(config.get("units")) is int else None
    if kind == "Flatten":
        return (given[0], None if None in given[1:] else math.prod(length or 0 for length in given[1:]))
    if config.get("data_format") == "channels_first" or config.get("dim_ordering") == "th":
        return None
    if kind.startswith("Global"):
        return (given[0], given[-1]) if not config.get("keepdims") else (given[0], *[1] * (len(given) - 2), given[-1])
    if _WINDOWED.fullmatch(kind):
        return _windowed(kind, config, given)
    if re.fullmatch(r"ZeroPadding[123]D", kind):
        pads = _pairs(config["padding"], len(given) - 2)
        return (given[0], *(_plus(n, sum(pad)) for n, pad in zip(given[1:-1], pads, strict=True)), given[-1])
    return None


def _windowed(kind: str, config: dict[str, Any], given: Shape) -> Shape | None:
    rank = len(given) - 2
    window = _each(config.get("kernel_size") or config.get("pool_size"), rank)
    strides = _each(config.get("strides") or (window if "Pooling" in kind else 1), rank)
    dilations = _each(config.get("dilation_rate", 1), rank)
    spatial: list[int | None] = []
    for length, size, stride, dilation in zip(given[1:-1], window, strides, dilations, strict=True):
        if length is None:
            spatial.append(None)
        elif config.get("padding", "valid") == "valid":
            spatial.append((length - (size - 1) * dilation - 1) // stride + 1)
        else:
            spatial.append(-(-length // stride))
    channels = given[-1]
    if kind.startswith("Depthwise"):
        multiplier = config.get("depth_multiplier", 1)
        channels = None if channels is None else channels * multiplier
    elif "Conv" in kind:
        channels = int(config["filters"])
    return (given[0], *spatial, channels)


def _each(value: Any, rank: int) -> list[int]:
    return [int(item) for item in value] if isinstance(value, (list, tuple)) else [int(value)] * rank


def _pairs(value: Any, rank: int) -> list[tuple[int, int]]:
    if isinstance(value, int):
        return [(value, value)] * rank
    if rank == 1:
        value = [value]
    return [(item, item) if isinstance(item, int) else (int(item[0]), int(item[1])) for item in value]


def _plus(length: int | None, more: int) -> int | None:
    return None if length is None else length + more
