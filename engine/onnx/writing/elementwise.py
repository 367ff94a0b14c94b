"""Writing what computes entry by entry: arithmetic, comparison, logic, selection, casts."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.dtypes import as_dtype, is_float
from engine.onnx.writing.computation import Call
from engine.onnx.writing.file_graph import INT64, stored_dtype
from engine.onnx.writing.form import Form
from engine.onnx.writing.rules import writes
from engine.onnx.writing.writer import Writer
from engine.primitives import elementwise as e
from engine.primitives import inverses as i
from engine.primitives.casting import cast, copy, stop_gradient
from engine.primitives.indexing import clip

_BOOL, _INT32 = np.dtype(bool), np.dtype(np.int32)
_ARITHMETIC = {np.dtype(kind) for kind in (np.float16, np.float32, np.float64, np.int32, np.int64)}


def computed_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which runtimes compute for numbers of a dtype: small integers are widened."""
    dtype = stored_dtype(dtype)
    if dtype in _ARITHMETIC:
        return dtype
    return INT64 if dtype in (np.dtype(np.uint32), np.dtype(np.uint64)) else _INT32


def operands(writer: Writer, call: Call, wide: bool = True) -> tuple[list[str], Form]:
    """The inputs of a call in a common form, widened where that is needed to compute."""
    form = writer.common_form(call.inputs, len(call.outputs[0].shape))
    names = [writer.broadcast(value, form) for value in call.inputs]
    if wide:
        pairs = zip(names, call.inputs, strict=True)
        names = [writer.cast(name, value.dtype, computed_dtype(value.dtype)) for name, value in pairs]
    return names, form


def finish(writer: Writer, call: Call, name: str, form: Form, dtype: np.dtype[Any]) -> None:
    """Gives a result that was computed in `dtype`."""
    writer.give(call.outputs[0], writer.cast(name, dtype, call.outputs[0].dtype), form)


def number(writer: Writer, value: float, like: np.dtype[Any]) -> str:
    """A scalar of a dtype."""
    return writer.constant(np.asarray(value, stored_dtype(like)))


# Arithmetic ----------------------------------------------------------------------------------------------------------

_OPERATORS = {
    e.add: "Add", e.subtract: "Sub", e.multiply: "Mul", e.maximum: "Max", e.minimum: "Min", e.power: "Pow",
    e.negative: "Neg", e.absolute: "Abs", e.sign: "Sign", e.exp: "Exp", e.log: "Log", e.sqrt: "Sqrt",
    e.sin: "Sin", e.cos: "Cos", e.tanh: "Tanh", i.arcsin: "Asin", i.arccos: "Acos", i.arctan: "Atan",
    i.arcsinh: "Asinh", i.arccosh: "Acosh", i.arctanh: "Atanh",
}  # fmt: skip
_LOGICAL = {e.add: "Or", e.multiply: "And", e.maximum: "Or", e.minimum: "And"}


@writes(*_OPERATORS)
def _(writer: Writer, call: Call) -> None:
    if call.inputs[0].dtype == _BOOL and call.primitive in _LOGICAL:
        names, form = operands(writer, call, wide=False)
        writer.give(call.outputs[0], writer.node(_LOGICAL[call.primitive], *names), form)
        return
    names, form = operands(writer, call)
    result = writer.node(_OPERATORS[call.primitive], *names)
    finish(writer, call, result, form, computed_dtype(call.inputs[0].dtype))


@writes(e.square)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    finish(writer, call, writer.node("Mul", x, x), form, computed_dtype(call.inputs[0].dtype))


@writes(e.divide)
def _(writer: Writer, call: Call) -> None:
    names, form = operands(writer, call, wide=False)
    result = call.outputs[0].dtype
    names = [writer.cast(name, value.dtype, result) for name, value in zip(names, call.inputs, strict=True)]
    writer.give(call.outputs[0], writer.node("Div", *names), form)


@writes(e.floor_divide)
def _(writer: Writer, call: Call) -> None:
    (a, b), form = operands(writer, call)
    if is_float(call.inputs[0].dtype):
        result = writer.node("Floor", writer.node("Div", a, b))
    else:  # ONNX's quotient of integers is rounded towards zero, its remainder has the divisor's sign
        result = writer.node("Div", writer.node("Sub", a, writer.node("Mod", a, b)), b)
    finish(writer, call, result, form, computed_dtype(call.inputs[0].dtype))


@writes(e.mod)
def _(writer: Writer, call: Call) -> None:
    (a, b), form = operands(writer, call)
    if is_float(call.inputs[0].dtype):
        quotient = writer.node("Floor", writer.node("Div", a, b))
        result = writer.node("Sub", a, writer.node("Mul", quotient, b))
    else:
        result = writer.node("Mod", a, b)
    finish(writer, call, result, form, computed_dtype(call.inputs[0].dtype))


@writes(e.floor, e.ceil, e.rint)
def _(writer: Writer, call: Call) -> None:
    names, form = operands(writer, call, wide=False)
    operator = {e.floor: "Floor", e.ceil: "Ceil", e.rint: "Round"}[call.primitive]
    whole = not is_float(call.inputs[0].dtype)
    writer.give(call.outputs[0], names[0] if whole else writer.node(operator, *names), form)


@writes(e.expm1)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    one = number(writer, 1, call.inputs[0].dtype)
    writer.give(call.outputs[0], writer.node("Sub", writer.node("Exp", x), one), form)


@writes(e.log1p)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    one = number(writer, 1, call.inputs[0].dtype)
    writer.give(call.outputs[0], writer.node("Log", writer.node("Add", x, one)), form)


@writes(clip)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    dtype = computed_dtype(call.inputs[0].dtype)
    least, most = (call.inputs[0].dtype.type(call.options[key]) for key in ("minimum", "maximum"))
    result = writer.node("Clip", x, number(writer, least, dtype), number(writer, most, dtype))
    finish(writer, call, result, form, dtype)


# Comparison and logic ------------------------------------------------------------------------------------------------

_COMPARISONS = {
    e.equal: "Equal", e.not_equal: "Equal", e.greater: "Greater", e.greater_equal: "GreaterOrEqual", e.less: "Less",
    e.less_equal: "LessOrEqual",
}  # fmt: skip
_LOGIC = {e.logical_and: "And", e.logical_or: "Or", e.logical_not: "Not"}


@writes(*_COMPARISONS)
def _(writer: Writer, call: Call) -> None:
    names, form = operands(writer, call)
    result = writer.node(_COMPARISONS[call.primitive], *names)
    writer.give(call.outputs[0], writer.node("Not", result) if call.primitive is e.not_equal else result, form)


@writes(*_LOGIC)
def _(writer: Writer, call: Call) -> None:
    names, form = operands(writer, call, wide=False)
    names = [writer.cast(name, value.dtype, _BOOL) for name, value in zip(names, call.inputs, strict=True)]
    writer.give(call.outputs[0], writer.node(_LOGIC[call.primitive], *names), form)


@writes(e.isnan)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    writer.give(call.outputs[0], writer.node("IsNaN", _floating(writer, x, call)), form)


@writes(e.isfinite)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    x = _floating(writer, x, call)
    other = writer.node("Or", writer.node("IsNaN", x), writer.node("IsInf", x))
    writer.give(call.outputs[0], writer.node("Not", other), form)


def _floating(writer: Writer, name: str, call: Call) -> str:
    """A number as a float32: half types too, since not every runtime tests them."""
    dtype = computed_dtype(call.inputs[0].dtype)
    return name if dtype == np.float64 else writer.cast(name, dtype, np.dtype(np.float32))


@writes(e.select)
def _(writer: Writer, call: Call) -> None:
    form = writer.common_form(call.inputs, len(call.outputs[0].shape))
    condition, a, b = (writer.broadcast(value, form) for value in call.inputs)
    dtype = computed_dtype(call.outputs[0].dtype)
    a, b = (writer.cast(name, call.outputs[0].dtype, dtype) for name in (a, b))
    finish(writer, call, writer.node("Where", condition, a, b), form, dtype)


# Values as they are --------------------------------------------------------------------------------------------------


@writes(cast)
def _(writer: Writer, call: Call) -> None:
    names, form = operands(writer, call, wide=False)
    target = np.dtype(as_dtype(call.options["dtype"]))
    writer.give(call.outputs[0], writer.cast(names[0], call.inputs[0].dtype, target), form)


@writes(copy, stop_gradient)
def _(writer: Writer, call: Call) -> None:
    names, form = operands(writer, call, wide=False)
    writer.give(call.outputs[0], names[0], form)
