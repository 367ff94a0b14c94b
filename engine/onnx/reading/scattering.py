"""Entries written to places: ScatterElements and ScatterND."""

from __future__ import annotations

import math

from engine import ops
from engine.layers.extensions import Scatter
from engine.onnx.reading.arithmetic import in_file_order
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.gathering import flat_positions
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


@operator("Scatter", "ScatterElements")
def scatter_elements(builder: Builder, node: Node) -> Value:
    """ONNX's ScatterElements (Scatter before version 11): updates at indices along an axis."""
    value, indices = node[0], node[1]
    axis = value.positive(node.get("axis", 0))
    others = [
        place
        for place, (have, want) in enumerate(zip(value.static_shape, indices.static_shape, strict=True))
        if have != want
    ]
    builder.keeps_examples_apart(value, sorted({axis, *others}))
    operands = in_file_order(builder, [node[0], node[1], node[2]])
    layer = Scatter(axis, node.get("reduction", "none"), name=builder.name(), dtype=policy(value.dtype))
    return Value("", layer(operands))


@operator("ScatterND")
def scatter_nd(builder: Builder, node: Node) -> Value:
    """ONNX's ScatterND: updates of whole parts, at positions along the first axes."""
    value, indices, updates = node[0], node[1], node[2]
    depth = indices.static_shape[-1]
    if depth is None or not 0 < depth <= value.rank:
        raise ValueError(f"it writes at positions of {depth} numbers in a tensor of {value.rank} axes")
    builder.keeps_examples_apart(value, range(depth))
    places, entry = indices.static_shape[:-1], value.static_shape[depth:]
    if None in places or None in entry or None in updates.static_shape:
        node.refuse("indices or entries of free lengths are not supported")
    shape = builder.shape(value)
    count, width = math.prod(places), math.prod(entry)  # type: ignore[arg-type]
    table, positions, parts = in_file_order(builder, [value, indices, updates])
    flat = ops.reshape(flat_positions(positions, value.static_shape[:depth]), (count, 1))
    operands = [
        ops.reshape(table, (-1, width)),
        ops.broadcast_to(flat, (count, width)),
        ops.reshape(parts, (count, width)),
    ]
    layer = Scatter(0, node.get("reduction", "none"), name=builder.name(), dtype=policy(value.dtype))
    return Value("", builder.reshaped(layer(operands), shape))
