"""Writing convolutions, pooling and resampling: in ONNX their channels come second."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.onnx.axes import Order, channels_last
from engine.onnx.writing.computation import Call, Value
from engine.onnx.writing.file_graph import FLOAT32
from engine.onnx.writing.form import Form, stored_lengths
from engine.onnx.writing.lengths import Free, Length, Lengths, combined, in_sample, is_free
from engine.onnx.writing.rules import writes
from engine.onnx.writing.writer import Writer
from engine.primitives.convolution import convolution, transposed_convolution
from engine.primitives.pooling import average_pooling, max_pooling
from engine.primitives.resampling import resampling


def _narrow(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which runtimes convolve: none does in float64."""
    return FLOAT32 if dtype == np.float64 else dtype


def _taken(writer: Writer, value: Value, order: Order | None = None) -> str:
    return writer.cast(writer.take(value, order), value.dtype, _narrow(value.dtype))


def _give(writer: Writer, call: Call, name: str) -> None:
    result = call.outputs[0]
    form = Form(channels_last(len(result.shape)))
    writer.give(result, writer.cast(name, _narrow(result.dtype), result.dtype), form)


def _kernel_order(rank: int) -> Order:
    """Our kernels are (*window, inputs, outputs), ONNX's (outputs, inputs, *window)."""
    return (*range(2, rank), 1, 0)


# Convolution ---------------------------------------------------------------------------------------------------------


@writes(convolution)
def _(writer: Writer, call: Call) -> None:
    x, w, *bias = call.inputs
    rank, options = len(x.shape), call.options
    window = [int(n) for n in w.shape[:-2] if isinstance(n, int)]
    inputs = [_taken(writer, x, channels_last(rank)), _taken(writer, w, _kernel_order(rank))]
    inputs += [_taken(writer, value) for value in bias]
    name = writer.node(
        "Conv",
        *inputs,
        kernel_shape=window,
        strides=list(options["strides"]),
        dilations=list(options["dilation"]),
        group=int(options.get("groups", 1)),
        **_padding(writer, call, window, options["dilation"]),
    )
    _give(writer, call, name)


@writes(transposed_convolution)
def _(writer: Writer, call: Call) -> None:
    x, w, *bias = call.inputs
    rank, options = len(x.shape), call.options
    window = [int(n) for n in w.shape[:-2] if isinstance(n, int)]
    padding = options["padding"]
    if any(is_free(pair) for pair in padding):
        raise writer.refuse("its padding depends on a free axis; fix the free axes by input_signature")
    rest = []
    for axis, stride in enumerate(options["strides"]):
        reach = (window[axis] - 1) * options["dilation"][axis] + 1 - sum(padding[axis])

        def left_over(whole: int, given: int, stride: int = stride, reach: int = reach) -> int:
            return whole - (stride * (given - 1) + reach)

        rest.append(combined(left_over, options["spatial"][axis], x.shape[axis + 1]))
    if is_free(rest):
        raise writer.refuse("its output padding depends on a free axis; fix the free axes by input_signature")
    inputs = [_taken(writer, x, channels_last(rank)), _taken(writer, w, _kernel_order(rank))]
    inputs += [_taken(writer, value) for value in bias]
    name = writer.node(
        "ConvTranspose",
        *inputs,
        kernel_shape=window,
        strides=list(options["strides"]),
        dilations=list(options["dilation"]),
        group=int(options.get("groups", 1)),
        pads=_pads(padding),
        output_padding=rest if any(rest) else None,
    )
    _give(writer, call, name)


def _pads(padding: Any) -> list[int]:
    return [*(pair[0] for pair in padding), *(pair[1] for pair in padding)]


def _padding(writer: Writer, call: Call, window: list[int], dilation: Any) -> dict[str, Any]:
    """The padding as attributes: fixed, or "same" where it differs with the length of a free axis."""
    padding = call.options["padding"]
    if not any(is_free(pair) for pair in padding):
        return {"pads": _pads(padding)}
    spatial: Lengths = call.inputs[0].shape[1:-1]
    for axis, pair in enumerate(padding):
        stride, reach = call.options["strides"][axis], (window[axis] - 1) * dilation[axis] + 1
        count = max((len(item) for item in (spatial[axis], *pair) if isinstance(item, Free)), default=1)
        for sample in range(count):
            length = in_sample(spatial[axis], sample)
            total = max((math.ceil(length / stride) - 1) * stride + reach - length, 0)
            if tuple(in_sample(width, sample) for width in pair) != (total // 2, total - total // 2):
                raise writer.refuse(
                    "its padding depends on a free axis otherwise than 'same' does; fix the free axes by "
                    "input_signature"
                )
    return {"auto_pad": "SAME_UPPER"}


# Pooling -------------------------------------------------------------------------------------------------------------


@writes(max_pooling, average_pooling)
def _(writer: Writer, call: Call) -> None:
    x, options = call.inputs[0], call.options
    window = list(options["window"])
    attributes = _padding(writer, call, window, (1,) * len(window))
    operator = "MaxPool" if call.primitive is max_pooling else "AveragePool"
    name = writer.node(
        operator,
        _taken(writer, x, channels_last(len(x.shape))),
        kernel_shape=window,
        strides=list(options["strides"]),
        **attributes,
    )
    _give(writer, call, name)


# Resampling ----------------------------------------------------------------------------------------------------------


@writes(resampling)
def _(writer: Writer, call: Call) -> None:
    x, result = call.inputs[0], call.outputs[0]
    rank = len(x.shape)
    order = channels_last(rank)
    nearest = call.options["method"] == "nearest"
    factors = [_factor(a, b) for a, b in zip(x.shape[1:-1], result.shape[1:-1], strict=True)]
    whole = all(factors)
    if nearest:
        # Repeating by whole factors is exact in any arithmetic; else the centres decide, ties going up.
        attributes = {"mode": "nearest", "nearest_mode": "floor" if whole else "round_prefer_ceil"}
        attributes["coordinate_transformation_mode"] = "asymmetric" if whole else "half_pixel"
    else:
        attributes = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    inputs = [_taken(writer, x, order), ""]
    if whole:
        inputs.append(writer.constant(np.array([1, 1, *factors], np.float32)))
    else:
        inputs += ["", writer.lengths(stored_lengths(result.shape, order))]
    _give(writer, call, writer.node("Resize", *inputs, **attributes))


def _factor(before: Length, after: Length) -> int:
    """By what an axis is multiplied; 0: by no integer."""
    factor = combined(lambda a, b: 0 if b % a else b // a, before, after)
    return 0 if isinstance(factor, Free) else factor
