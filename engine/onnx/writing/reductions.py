"""Writing reductions over axes, positions of extrema and running sums."""

from __future__ import annotations

import numpy as np

from engine.onnx.axes import ordered, without
from engine.onnx.writing.computation import Call
from engine.onnx.writing.elementwise import computed_dtype
from engine.onnx.writing.file_graph import INT64
from engine.onnx.writing.form import Form
from engine.onnx.writing.rules import writes
from engine.onnx.writing.writer import Writer
from engine.primitives import reductions as r
from engine.primitives.shaping import reduce_sum

_INT32, _BOOL = np.dtype(np.int32), np.dtype(bool)
_OPERATORS = {
    reduce_sum: "ReduceSum", r.reduce_mean: "ReduceMean", r.reduce_max: "ReduceMax", r.reduce_min: "ReduceMin",
    r.reduce_prod: "ReduceProd", r.reduce_any: "ReduceMax", r.reduce_all: "ReduceMin",
}  # fmt: skip


@writes(*_OPERATORS)
def _(writer: Writer, call: Call) -> None:
    x, result = call.inputs[0], call.outputs[0]
    form = Form(writer.form(x).order)
    keepdims = bool(call.options.get("keepdims", False))
    axes = sorted(ordered(form.order, call.options["axes"]))
    name, dtype = writer.take(x, form), x.dtype
    if call.primitive in (r.reduce_any, r.reduce_all):
        name, dtype = writer.cast(name, dtype, _BOOL), _BOOL
    working = computed_dtype(result.dtype if call.primitive is r.reduce_mean else dtype)
    if axes:
        name = writer.reduce(_OPERATORS[call.primitive], writer.cast(name, dtype, working), axes, keepdims)
        dtype = working
    after = form if keepdims else Form(without(form.order, axes))
    writer.give(result, writer.cast(name, dtype, result.dtype), after)


@writes(r.argmax, r.argmin)
def _(writer: Writer, call: Call) -> None:
    x = call.inputs[0]
    form = Form(writer.form(x).order)
    axis, keepdims = form.order[call.options["axis"]], bool(call.options.get("keepdims", False))
    name = writer.cast(writer.take(x, form), x.dtype, computed_dtype(x.dtype))
    operator = "ArgMax" if call.primitive is r.argmax else "ArgMin"
    found = writer.node(operator, name, axis=axis, keepdims=int(keepdims))
    after = form if keepdims else Form(without(form.order, [axis]))
    writer.give(call.outputs[0], writer.cast(found, INT64, _INT32), after)


@writes(r.cumsum)
def _(writer: Writer, call: Call) -> None:
    x, result = call.inputs[0], call.outputs[0]
    form, working = Form(writer.form(x).order), computed_dtype(x.dtype)
    name = writer.cast(writer.take(x, form), x.dtype, working)
    axis = writer.constant(np.asarray(form.order[call.options["axis"]], np.int64))
    summed = writer.node("CumSum", name, axis, reverse=int(bool(call.options.get("reverse", False))))
    writer.give(result, writer.cast(summed, working, result.dtype), form)
