"""Writing operations on the bits of integers."""

from __future__ import annotations

import numpy as np

from engine.onnx.writing.computation import Call
from engine.onnx.writing.elementwise import computed_dtype, finish, number, operands
from engine.onnx.writing.rules import writes
from engine.onnx.writing.writer import Writer
from engine.primitives import bits as b

_OPERATORS = {
    b.bitwise_and: ("And", "BitwiseAnd"), b.bitwise_or: ("Or", "BitwiseOr"), b.bitwise_xor: ("Xor", "BitwiseXor"),
    b.bitwise_not: ("Not", "BitwiseNot"),
}  # fmt: skip
_FIRST_BITWISE = 18


@writes(*_OPERATORS)
def _(writer: Writer, call: Call) -> None:
    logical, bitwise = _OPERATORS[call.primitive]
    names, form = operands(writer, call, wide=False)
    is_logical = call.inputs[0].dtype == np.bool_
    if not is_logical and writer.opset < _FIRST_BITWISE:
        raise writer.refuse(f"its operator came with opset {_FIRST_BITWISE}")
    writer.give(call.outputs[0], writer.node(logical if is_logical else bitwise, *names), form)


@writes(b.left_shift, b.right_shift)
def _(writer: Writer, call: Call) -> None:
    # ONNX shifts unsigned integers alone: a shift is a product with, or a division by, a power of two.
    (x, places), form = operands(writer, call)
    dtype = computed_dtype(call.inputs[0].dtype)
    power = writer.node("Pow", number(writer, 2, dtype), places)
    if call.primitive is b.left_shift:
        result = writer.node("Mul", x, power)
    else:
        result = writer.node("Div", writer.node("Sub", x, writer.node("Mod", x, power)), power)
    finish(writer, call, result, form, dtype)
