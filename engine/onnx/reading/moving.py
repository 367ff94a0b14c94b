"""Operators that move numbers or choose among them, on integers that stand for floats: it is done with the floats.

So nothing is rounded that was rounded before, and gradients reach what lies in front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.onnx.reading.builder import Builder
from engine.onnx.reading.folding import as_list, fold
from engine.onnx.reading.node import Node
from engine.onnx.reading.quantization import integers_of
from engine.onnx.reading.value import Value

if TYPE_CHECKING:
    from engine.onnx.reading.operators import Rule

_MOVING = {
    "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip


def translated_by(builder: Builder, node: Node, rule: Rule) -> list[Value | None]:
    """The outputs of a node, by its rule, or computed at once where all its inputs are constants."""
    value = node.optional(0)
    known = None if value is None else value.quantized
    if value is None or known is None or node.operator not in _MOVING or known.scale.size != 1:
        return fold(builder, node, rule)
    floats = Value(value.name, known.tensor, value.order, columns=value.columns)
    found = as_list(rule(builder, node.with_inputs([floats, *node.inputs[1:]])))
    return [item and integers_of(builder, item, known.scale, known.zero_point, 0) for item in found]
