"""Constants of the file, and the lengths of its tensors, which are constants but for free ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.onnx.reading.builder import Builder
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


@operator("Constant")
def constant(builder: Builder, node: Node) -> Value:
    """ONNX's Constant: one of its attributes holds the values."""
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        found = node.get(name)
        if found is not None:
            kind = {
                "value_float": np.float32,
                "value_floats": np.float32,
                "value_int": np.int64,
                "value_ints": np.int64,
            }
            array = np.asarray(found, kind[name]) if name in kind else found
            return Value("", constant=builder.widened(array))
    return node.refuse("a constant of strings or a sparse one is not supported")


@operator("Shape")
def shape(builder: Builder, node: Node) -> Value:
    """ONNX's Shape: the lengths of a tensor, free ones as sizes."""
    return part_of_shape(node, builder.shape(node[0]))


def part_of_shape(node: Node, lengths: Sequence[Any]) -> Value:
    rank = len(lengths)
    start, end = node.get("start", 0), node.get("end", rank)
    chosen = lengths[slice(*(max(0, min(rank, place + rank if place < 0 else place)) for place in (start, end)))]
    return Value("", constant=as_lengths(chosen))


@operator("Size")
def size(builder: Builder, node: Node) -> Value:
    """ONNX's Size: the number of numbers in a tensor."""
    return Value("", constant=tidied(np.asarray(math.prod(builder.shape(node[0])), object)))


def as_lengths(lengths: Sequence[Any]) -> NDArray[Any]:
    """Lengths as an array, of dtype object where there are free ones among them."""
    array = np.empty(len(lengths), object)
    array[:] = list(lengths)
    return tidied(array)


def tidied(array: NDArray[Any]) -> NDArray[Any]:
    """An array of dtype object that holds integers alone, as integers again."""
    if array.dtype != object:
        return array
    if all(isinstance(item, (int, np.integer, bool, np.bool_)) for item in array.ravel()):
        kind = (
            np.bool_ if all(isinstance(item, (bool, np.bool_)) for item in array.ravel()) and array.size else np.int64
        )
        return array.astype(kind)
    return array
