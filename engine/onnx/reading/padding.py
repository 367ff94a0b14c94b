"""Pad: entries added around a tensor, or taken off."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import layers, ops
from engine.onnx.axes import channels_last, same
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.evaluation import numbered
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.slicing import part
from engine.onnx.reading.value import Value

_ZEROS: dict[int, Any] = {3: layers.ZeroPadding1D, 4: layers.ZeroPadding2D, 5: layers.ZeroPadding3D}


@operator("Pad")
def pad(builder: Builder, node: Node) -> Value:
    """ONNX's Pad: negative widths take entries off; zeros around channels-last images are a layer."""
    value = node[0]
    widths, filling, mode = _widths(node, value), _filling(node), node.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise ValueError(f"its mode is {mode!r}; expected constant, reflect, edge or wrap")
    builder.keeps_examples_apart(value, [axis for axis, pair in enumerate(widths) if pair != (0, 0)])
    if any(min(pair) < 0 for pair in widths):
        if mode != "constant":
            node.refuse(f"negative widths {widths} in the mode {mode!r} are not supported")
        ends = {
            axis: slice(max(0, -before), after if after < 0 else None)
            for axis, (before, after) in enumerate(widths)
            if min(before, after) < 0
        }
        value = part(builder, value, ends)
        widths = [(max(0, before), max(0, after)) for before, after in widths]
    value = builder.with_file_columns(value)
    if all(pair == (0, 0) for pair in widths):
        return builder.unary(value, lambda tensor: tensor)
    if value.rank in _ZEROS and value.order == same(value.rank) and widths[:2] == [(0, 0), (0, 0)]:
        # Images as they came in: a convolution follows, which takes the padding with it where channels are last.
        value = Value(value.name, builder.channels_last(value), channels_last(value.rank))
    ours = [widths[axis] for axis in value.order]
    is_spatial = value.rank in _ZEROS and ours[0] == (0, 0) and ours[-1] == (0, 0)
    if mode == "constant" and filling == 0 and is_spatial and value.order == channels_last(value.rank):
        margins = ours[1:-1] if value.rank > 3 else ours[1]
        layer = _ZEROS[value.rank](margins, name=builder.name(), dtype=policy(value.dtype))
        return Value("", layer(value.tensor), value.order)
    if mode == "constant":
        return Value("", ops.pad(value.tensor, ours, constant_values=filling), value.order)
    if mode != "wrap":
        return Value("", ops.pad(value.tensor, ours, mode=mode), value.order)
    tensor = value.tensor
    for axis, pair in enumerate(ours):
        if pair != (0, 0):
            length = tensor.shape[axis]
            if not length:
                node.refuse("wrapping round an axis of free length is not supported")
            tensor = ops.take(tensor, np.pad(numbered(length), pair, mode="wrap").tolist(), axis=axis)
    return Value("", tensor, value.order)


def _widths(node: Node, value: Value) -> list[tuple[int, int]]:
    """Entries before and after each axis of the file."""
    if node.version >= 11:
        given = node.integers(1, "pads")
        axes = node.integers(3, "axes") if node.optional(3) is not None else list(range(value.rank))
    else:
        given, axes = node.get("pads", []), list(range(value.rank))
    if len(given) != 2 * len(axes):
        raise ValueError(f"its pads must be {2 * len(axes)} integers, and are {given}")
    widths = [(0, 0)] * value.rank
    for axis, before, after in zip(axes, given[: len(axes)], given[len(axes) :], strict=True):
        widths[value.positive(axis)] = (before, after)
    return widths


def _filling(node: Node) -> float:
    if node.version < 11:
        return float(node.get("value", 0.0))
    if node.optional(2) is None:
        return 0.0
    constant = node.constant(2, "constant_value")
    return float(constant.ravel()[0]) if constant.size else 0.0
