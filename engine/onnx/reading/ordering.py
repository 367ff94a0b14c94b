"""The largest entries of a tensor, and classes as ones among zeros."""

from __future__ import annotations

import numpy as np

from engine import ops
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


@operator("TopK")
def top_k(builder: Builder, node: Node) -> list[Value]:
    """ONNX's TopK: the largest or smallest entries along an axis and where they are, of equal ones the first."""
    value = builder.with_file_columns(node[0])
    axis = value.positive(node.get("axis", -1))
    count = node.get("k", 0) if node.version < 10 else node.integers(1, "K")[0]
    builder.keeps_examples_apart(value, [axis])
    place, last = value.axis(axis), value.rank - 1
    tensor = value.tensor if place == last else ops.swapaxes(value.tensor, place, last)
    if node.get("largest", 1):
        largest, indices = ops.top_k(tensor, count)
    else:
        key = (*(slice(None),) * last, slice(0, count))
        indices = ops.get_item(ops.argsort(tensor, -1), key)
        largest = ops.take_along_axis(tensor, indices, axis=-1)
    found = [largest, ops.cast(indices, "int64")]
    if place != last:
        found = [ops.swapaxes(tensor, place, last) for tensor in found]
    return [Value("", tensor, value.order) for tensor in found]


@operator("OneHot")
def one_hot(builder: Builder, node: Node) -> Value:
    """ONNX's OneHot: one value at the class along a new axis, another one elsewhere; classes may count from the end."""
    indices = node[0]
    depth = int(node.constant(1, "depth").ravel()[0])
    values = builder.widened(node.constant(2, "values")).ravel()
    if depth < 1 or values.size != 2:
        raise ValueError(f"it encodes {depth} classes by {values.size} values; expected 2")
    classes = ops.cast(builder.as_file(indices), "int64")
    classes = ops.where(ops.less(classes, 0), ops.add(classes, depth), classes)
    axis = node.get("axis", -1)
    encoded = ops.one_hot(classes, depth, axis, "bool")
    off, on = (np.asarray(item).astype(values.dtype) for item in values)
    if not np.any(off) and on == 1:
        return Value("", ops.cast(encoded, values.dtype.name))
    return Value("", ops.cast(ops.where(encoded, on.item(), off.item()), values.dtype.name))
