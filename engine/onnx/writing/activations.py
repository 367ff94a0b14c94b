"""Writing activations."""

from __future__ import annotations

import math

import numpy as np

from engine.onnx.writing.computation import Call
from engine.onnx.writing.elementwise import computed_dtype, finish, number, operands
from engine.onnx.writing.form import Form
from engine.onnx.writing.rules import writes
from engine.onnx.writing.writer import Writer
from engine.primitives import activations as a
from engine.primitives.activations.gaussian import CUBIC, ROOT
from engine.primitives.activations.rectifiers import SELU_ALPHA, SELU_SCALE

_OPERATORS = {
    a.relu: ("Relu", {}),
    a.sigmoid: ("Sigmoid", {}),
    a.softplus: ("Softplus", {}),
    a.hard_sigmoid: ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    a.selu: ("Selu", {"alpha": SELU_ALPHA, "gamma": SELU_SCALE}),
}
_FIRST_HARD_SWISH, _FIRST_GELU = 14, 20


@writes(*_OPERATORS)
def _(writer: Writer, call: Call) -> None:
    operator, attributes = _OPERATORS[call.primitive]
    (x,), form = operands(writer, call)
    finish(writer, call, writer.node(operator, x, **attributes), form, computed_dtype(call.inputs[0].dtype))


@writes(a.leaky_relu)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    writer.give(call.outputs[0], writer.node("LeakyRelu", x, alpha=float(call.options["negative_slope"])), form)


@writes(a.elu)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    writer.give(call.outputs[0], writer.node("Elu", x, alpha=float(call.options.get("alpha", 1.0))), form)


@writes(a.silu)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    writer.give(call.outputs[0], writer.node("Mul", x, writer.node("Sigmoid", x)), form)


@writes(a.hard_silu)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    if writer.opset >= _FIRST_HARD_SWISH:
        result = writer.node("HardSwish", x)
    else:
        result = writer.node("Mul", x, writer.node("HardSigmoid", x, alpha=1 / 6, beta=0.5))
    writer.give(call.outputs[0], result, form)


@writes(a.erf)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    writer.give(call.outputs[0], _erf(writer, x, call), form)


@writes(a.gelu)
def _(writer: Writer, call: Call) -> None:
    (x,), form = operands(writer, call)
    dtype, approximate = call.inputs[0].dtype, call.options["approximate"]
    if writer.opset >= _FIRST_GELU and dtype != np.float64:
        result = writer.node("Gelu", x, approximate="tanh" if approximate else "none")
        writer.give(call.outputs[0], result, form)
        return
    if approximate:
        cube = writer.node("Mul", writer.node("Mul", x, x), x)
        bent = writer.node("Add", x, writer.node("Mul", cube, number(writer, CUBIC, dtype)))
        gate = writer.node("Tanh", writer.node("Mul", bent, number(writer, ROOT, dtype)))
    else:
        gate = _erf(writer, writer.node("Mul", x, number(writer, math.sqrt(0.5), dtype)), call)
    gate = writer.node("Add", gate, number(writer, 1, dtype))
    half = writer.node("Mul", x, number(writer, 0.5, dtype))
    writer.give(call.outputs[0], writer.node("Mul", half, gate), form)


def _erf(writer: Writer, x: str, call: Call) -> str:
    """The error function, which runtimes compute in float32."""
    dtype, single = call.inputs[0].dtype, np.dtype(np.float32)
    if dtype != np.float64:
        return writer.node("Erf", x)
    return writer.cast(writer.node("Erf", writer.cast(x, dtype, single)), single, dtype)


@writes(a.softmax, a.log_softmax)
def _(writer: Writer, call: Call) -> None:
    x, result = call.inputs[0], call.outputs[0]
    form = Form(writer.form(x).order)
    name = writer.take(x, form)
    axis = call.options.get("axis", -1)
    rank = len(x.shape)
    axes = sorted(form.order[item % rank] for item in (axis if isinstance(axis, tuple) else (axis,)))
    logarithm = call.primitive is a.log_softmax
    if len(axes) == 1:
        operator = "LogSoftmax" if logarithm else "Softmax"
        writer.give(result, writer.node(operator, name, axis=axes[0]), form)
        return
    shifted = writer.node("Sub", name, writer.reduce("ReduceMax", name, axes, keepdims=True))
    powers = writer.node("Exp", shifted)
    total = writer.reduce("ReduceSum", powers, axes, keepdims=True)
    if logarithm:
        writer.give(result, writer.node("Sub", shifted, writer.node("Log", total)), form)
    else:
        writer.give(result, writer.node("Div", powers, total), form)
