"""Operators that put entries elsewhere in a pattern: blocks of images, sequences backwards."""

from __future__ import annotations

from typing import Any

from engine.layers.extensions import DepthToSpace, SequenceReversal, SpaceToDepth
from engine.onnx.axes import channels_last
from engine.onnx.reading.arithmetic import in_file_order
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


@operator("DepthToSpace", "SpaceToDepth")
def blocks(builder: Builder, node: Node) -> Value:
    """ONNX's DepthToSpace and SpaceToDepth, on channels-last images."""
    value, size, mode = node[0], node.get("blocksize", 1), node.get("mode", "DCR")
    if value.rank != 4 or mode not in ("DCR", "CRD"):
        raise ValueError(f"it rearranges a tensor of {value.rank} axes in the mode {mode!r}; expected 4, DCR or CRD")
    kind: Any = DepthToSpace if node.operator == "DepthToSpace" else SpaceToDepth
    layer = kind(size, mode == "CRD", name=builder.name(), dtype=policy(value.dtype))
    return Value("", layer(builder.channels_last(value)), channels_last(4))


@operator("ReverseSequence")
def reverse_sequence(builder: Builder, node: Node) -> Value:
    """ONNX's ReverseSequence: the beginning of each sequence backwards."""
    value, lengths = node[0], node[1]
    time, batch = value.positive(node.get("time_axis", 0)), value.positive(node.get("batch_axis", 1))
    builder.keeps_examples_apart(value, [time])
    layer = SequenceReversal(time, batch, name=builder.name(), dtype=policy(value.dtype))
    return Value("", layer(in_file_order(builder, [value, lengths])))
