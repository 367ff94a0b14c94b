"""Writing normalisation: of batches with given statistics, and of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.onnx.axes import channels_last
from engine.onnx.writing.computation import Call, Value
from engine.onnx.writing.elementwise import number
from engine.onnx.writing.file_graph import FLOAT32
from engine.onnx.writing.form import Form
from engine.onnx.writing.rules import writes
from engine.onnx.writing.writer import Writer
from engine.primitives.layer_normalization import layer_normalization
from engine.primitives.normalization import batch_normalization, batch_normalization_training
from engine.primitives.primitive import Array
from engine.primitives.sums import accumulation_dtype

_FIRST_LAYER_NORMALIZATION = 17


def _along_channels(writer: Writer, value: Value, form: Form, dtype: np.dtype[Any]) -> str:
    """A parameter (channels,) in a dtype, ready to be combined with an array of a form."""
    return writer.cast(writer.broadcast(value, form), value.dtype, dtype)


@writes(batch_normalization)
def _(writer: Writer, call: Call) -> None:
    x, mean, variance, gamma, beta = call.inputs
    rank, form, epsilon = len(x.shape), writer.form(x), float(call.options["epsilon"])
    working = accumulation_dtype(x.dtype)
    name = writer.cast(writer.take(x, form), x.dtype, working)
    parameters = (gamma, beta, mean, variance)
    known = all(value.array is not None for value in parameters)
    if form.woven is not None and not known:
        form = Form(form.order)
    name = writer.cast(writer.take(x, form), x.dtype, working)
    if form.order == channels_last(rank) and working == FLOAT32:
        # The operator's channels are the second axis; parameters (channels,) are woven as the channels are.
        parts = [writer.cast(writer.take(p, Form((0,), form.woven)), p.dtype, working) for p in parameters]
        result = writer.node("BatchNormalization", name, *parts, epsilon=epsilon)
    elif known:
        factor, offset = _straight([value.array for value in parameters], epsilon, working)
        scale = Value(gamma.shape, working, factor, gamma.name or mean.name)
        shift = Value(gamma.shape, working, offset, beta.name or mean.name)
        scaled = writer.node("Mul", name, writer.broadcast(scale, form))
        result = writer.node("Add", scaled, writer.broadcast(shift, form))
    else:
        parts = [_along_channels(writer, value, form, working) for value in parameters]
        spread = writer.node("Sqrt", writer.node("Add", parts[3], number(writer, epsilon, working)))
        scaled = writer.node("Mul", writer.node("Sub", name, parts[2]), writer.node("Div", parts[0], spread))
        result = writer.node("Add", scaled, parts[1])
    writer.give(call.outputs[0], writer.cast(result, working, x.dtype), form)


def _straight(parameters: Sequence[Array | None], epsilon: float, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """The factor and the offset that a normalisation with known (gamma, beta, mean, variance) comes to."""
    gamma, beta, mean, variance = (np.asarray(array, np.float64) for array in parameters)
    factor = gamma / np.sqrt(variance + epsilon)
    return factor.astype(dtype), (beta - mean * factor).astype(dtype)


@writes(batch_normalization_training)
def _(writer: Writer, call: Call) -> None:
    x, gamma, beta = call.inputs
    form, working = Form(writer.form(x).order), accumulation_dtype(x.dtype)
    rank = len(x.shape)
    axes = sorted(form.order[axis] for axis in range(rank - 1))
    name = writer.cast(writer.take(x, form), x.dtype, working)
    result, mean, variance = _normalised(writer, name, axes, form, working, gamma, beta, float(call.options["epsilon"]))
    writer.give(call.outputs[0], writer.cast(result, working, x.dtype), form)
    for value, statistic in zip(call.outputs[1:], (mean, variance), strict=True):
        writer.give(value, writer.squeeze(statistic, *axes))


@writes(layer_normalization)
def _(writer: Writer, call: Call) -> None:
    x, gamma, beta = call.inputs
    form, epsilon = Form(writer.form(x).order), float(call.options["epsilon"])
    rank, working = len(x.shape), accumulation_dtype(x.dtype)
    name = writer.cast(writer.take(x, form), x.dtype, working)
    last = form.order[-1]
    if writer.opset >= _FIRST_LAYER_NORMALIZATION and last == rank - 1:
        parts = [writer.cast(writer.take(value), value.dtype, working) for value in (gamma, beta)]
        result = writer.node("LayerNormalization", name, *parts, axis=-1, epsilon=epsilon)
    else:
        result = _normalised(writer, name, [last], form, working, gamma, beta, epsilon)[0]
    writer.give(call.outputs[0], writer.cast(result, working, x.dtype), form)


def _normalised(
    writer: Writer,
    name: str,
    axes: list[int],
    form: Form,
    dtype: np.dtype[Any],
    gamma: Value,
    beta: Value,
    epsilon: float,
) -> tuple[str, str, str]:
    """A tensor normalised over some of its axes, and its mean and variance, reduced axes kept."""
    mean = writer.reduce("ReduceMean", name, axes, keepdims=True)
    centred = writer.node("Sub", name, mean)
    variance = writer.reduce("ReduceMean", writer.node("Mul", centred, centred), axes, keepdims=True)
    spread = writer.node("Sqrt", writer.node("Add", variance, number(writer, epsilon, dtype)))
    scaled = writer.node("Mul", writer.node("Div", centred, spread), _along_channels(writer, gamma, form, dtype))
    return writer.node("Add", scaled, _along_channels(writer, beta, form, dtype)), mean, variance
