"""Products and sums of named axes."""

from __future__ import annotations

from engine import ops
from engine.onnx.reading.arithmetic import in_file_order
from engine.onnx.reading.builder import Builder, FixedBatchError
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


@operator("Einsum")
def einsum(builder: Builder, node: Node) -> Value:
    """ONNX's Einsum: the sum over axes that a formula names."""
    function = getattr(ops, "einsum", None)
    if function is None:
        node.refuse("products of named axes are not supported")
    values = [node[index] for index in range(len(node))]
    equation = node.get("equation", "").replace(" ", "")
    if builder.declared_batch is not None:
        names = zip(values, equation.split("->")[0].split(","), strict=True)
        found = {_name_of_axis(term, value, builder.batch_axis(value)) for value, term in names} - {None}
        if len(found) > 1:
            raise FixedBatchError("it sums over the examples of a batch of which the file fixes the length")
    return Value("", function(equation, *in_file_order(builder, values)))


def _name_of_axis(term: str, value: Value, axis: int | None) -> str | int | None:
    """What a term of a formula calls an axis; those of an ellipsis are counted from its end."""
    if axis is None:
        return None
    before, _, after = term.partition("...")
    if axis < len(before):
        return before[axis]
    behind = value.rank - axis
    return after[-behind] if behind <= len(after) else behind - len(after)
