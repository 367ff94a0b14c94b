"""The batch where a file gives it a length and the model does not: examples must stay apart.

Within such a network everything that follows from the inputs has the batch along exactly one axis. Where a file joins
it with other axes it goes first among them, so that what is split off again belongs to the same example.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.onnx.reading.builder import Builder, FixedBatchError
from engine.onnx.reading.free_lengths import BATCH
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import TRADITIONAL
from engine.onnx.reading.value import Value
from engine.onnx.sizes import Length, Size


def keeps_one_batch(builder: Builder, node: Node, results: Sequence[Value | None]) -> None:
    """Makes sure that what a node computes of examples has the batch along one axis, as they have.

    Raises:
        FixedBatchError: it has none (examples were summed), or two (each example met every other one).
    """
    if builder.declared_batch is None:
        return
    axes = [builder.batch_axis(value) for value in node.inputs if value is not None]
    if all(axis is None for axis in axes):
        return
    for value in results:
        found = [] if value is None else builder.batch_axes(value)
        if value is None or value.is_constant:
            continue
        if len(found) != 1:
            raise FixedBatchError(f"{node.label} gives {len(found)} axes of the batch; expected one")
        if node.domain == TRADITIONAL and {*axes, *found} - {0, None}:
            raise FixedBatchError(f"{node.label} takes rows that are no examples")


def reshaped_apart(builder: Builder, lengths: Sequence[Length], target: Sequence[Length]) -> None:
    """Makes sure that a reshape leaves as many entries before the batch as there were.

    Raises:
        FixedBatchError: entries of one example would become those of others.
    """
    if builder.declared_batch is None:
        return
    before, after = _before_batch(lengths), _before_batch(target)
    if before is not None and before != after:
        raise FixedBatchError(f"a reshape of {tuple(lengths)} to {tuple(target)} moves entries between examples")


def _before_batch(lengths: Sequence[Length]) -> Length | None:
    """How many entries lie before the batch, counted along the axes before its own; None where there is no batch."""
    place = next((axis for axis, length in enumerate(lengths) if _is_of_batch(length)), None)
    return None if place is None else math.prod(lengths[:place])


def with_declared_batch(builder: Builder, node: Node) -> Node:
    """A node on sizes as the file means it: with the batch's length in place of the batch."""
    batch = builder.declared_batch
    return node if batch is None else node.with_inputs([_with_length(value, batch) for value in node.inputs])


def _is_of_batch(length: Any) -> bool:
    return isinstance(length, Size) and length.symbol == BATCH


def _with_length(value: Value | None, batch: int) -> Value | None:
    if value is None or value.constant is None or not value.is_sizes:
        return value
    array = value.constant.copy()
    for place, item in enumerate(array.flat):
        if _is_of_batch(item):
            array.flat[place] = item.factor * batch + item.offset
    return Value(value.name, constant=array)
