"""Writing look-ups, one-hot codes and sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.onnx.writing.computation import Call, Value
from engine.onnx.writing.elementwise import computed_dtype
from engine.onnx.writing.file_graph import INT64
from engine.onnx.writing.form import Form
from engine.onnx.writing.lengths import Length
from engine.onnx.writing.rules import writes
from engine.onnx.writing.writer import Writer
from engine.primitives.indexing import argsort, one_hot, searchsorted, take_along_axis, top_k_indices
from engine.primitives.scattering import put_along_axis
from engine.primitives.shaping import gather

_INT32 = np.dtype(np.int32)


def _indices(writer: Writer, value: Value) -> str:
    """Integers as ONNX takes them for indices: int32 or int64."""
    wide = value.dtype if value.dtype in (_INT32, INT64) else INT64
    return writer.cast(writer.take(value), value.dtype, wide)


@writes(gather)
def _(writer: Writer, call: Call) -> None:
    x, indices = call.inputs
    name = writer.node("Gather", writer.take(x), _indices(writer, indices), axis=int(call.options["axis"]))
    writer.give(call.outputs[0], name)


@writes(take_along_axis)
def _(writer: Writer, call: Call) -> None:
    x, indices = call.inputs
    axis, result = int(call.options["axis"]), call.outputs[0]
    rank = len(result.shape)

    def spread(name: str, shape: Any, target: list[Length]) -> str:
        needed = [1 if a == b else b for a, b in zip(shape, target, strict=True)]
        if all(length == 1 for length in needed):
            return name
        return writer.node("Expand", name, writer.lengths(needed))

    # Where one side has length 1 the other's holds; ONNX wants both alike.
    source = [x.shape[i] if i == axis else result.shape[i] for i in range(rank)]
    data = spread(writer.take(x), x.shape, source)
    places = spread(_indices(writer, indices), indices.shape, list(result.shape))
    writer.give(result, writer.node("GatherElements", data, places, axis=axis))


@writes(one_hot)
def _(writer: Writer, call: Call) -> None:
    # ONNX's own operator counts negative indices from the end; here they are out of range.
    indices, result = call.inputs[0], call.outputs[0]
    rank = len(indices.shape)
    places = writer.constant(np.arange(call.options["depth"]).astype(np.int64))
    given = writer.unsqueeze(writer.cast(writer.take(indices), indices.dtype, INT64), rank)
    hits = writer.node("Equal", given, places)
    writer.give(result, writer.cast(hits, np.dtype(bool), result.dtype))


@writes(argsort, top_k_indices)
def _(writer: Writer, call: Call) -> None:
    x, result = call.inputs[0], call.outputs[0]
    rank = len(x.shape)
    form = Form(writer.form(x).order)
    axis = int(call.options.get("axis", rank - 1))
    count = result.shape[axis]
    name = writer.cast(writer.take(x, form), x.dtype, computed_dtype(x.dtype))
    descending = call.primitive is top_k_indices or bool(call.options.get("descending", False))
    inputs = (name, writer.lengths([count]))
    _, found = writer.nodes_outputs("TopK", inputs, 2, axis=form.order[axis], largest=int(descending), sorted=1)
    writer.give(result, writer.cast(found, INT64, _INT32), form)


@writes(searchsorted)
def _(writer: Writer, call: Call) -> None:
    # An entry counts unless it is not below the value: so NaN is the largest.
    sequence, values = call.inputs
    working = computed_dtype(sequence.dtype)
    entries = writer.cast(writer.take(sequence), sequence.dtype, working)
    given = writer.unsqueeze(writer.cast(writer.take(values), values.dtype, working), len(values.shape))
    above = writer.node("GreaterOrEqual" if call.options["side"] == "left" else "Greater", entries, given)
    below = writer.cast(writer.node("Not", above), np.dtype(bool), _INT32)
    writer.give(call.outputs[0], writer.reduce("ReduceSum", below, [len(values.shape)]))


_FIRST_REDUCTION = {"none": 13, "add": 16, "mul": 16, "max": 18, "min": 18}


@writes(put_along_axis)
def _(writer: Writer, call: Call) -> None:
    x, indices, updates = call.inputs
    reduction = call.options["reduction"]
    if writer.opset < _FIRST_REDUCTION[reduction]:
        raise writer.refuse(f"its reduction {reduction!r} came with opset {_FIRST_REDUCTION[reduction]}")
    name = writer.node(
        "ScatterElements",
        writer.take(x),
        _indices(writer, indices),
        writer.take(updates),
        axis=int(call.options["axis"]),
        reduction=None if reduction == "none" else reduction,
    )
    writer.give(call.outputs[0], name)
