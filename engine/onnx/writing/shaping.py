"""Writing what moves values without computing: shapes, axes, slices, padding, joining."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.dtypes import is_float
from engine.onnx.axes import inverse, ordered, same, without
from engine.onnx.writing.computation import Call, Value
from engine.onnx.writing.elementwise import computed_dtype
from engine.onnx.writing.form import Form, reshaped, stored_lengths
from engine.onnx.writing.lengths import Free, Length, combined
from engine.onnx.writing.rules import writes
from engine.onnx.writing.writer import Writer
from engine.primitives.shaping import broadcast_to, concatenate, fill, getitem, pad, reshape, transpose

_LARGEST = np.iinfo(np.int64).max
_SMALLEST = np.iinfo(np.int64).min


@writes(reshape)
def _(writer: Writer, call: Call) -> None:
    x, result = call.inputs[0], call.outputs[0]
    form = writer.form(x)
    after = None if form.woven is not None else reshaped(form, x.shape, result.shape)
    if after is None:
        form, after = Form(same(len(x.shape))), Form(same(len(result.shape)))
    before = stored_lengths(x.shape, form.order)
    name = writer.reshape(writer.take(x, form), before, stored_lengths(result.shape, after.order))
    writer.give(result, name, after)


@writes(transpose)
def _(writer: Writer, call: Call) -> None:
    # Nothing is written: what reads the result finds its axes where they are, or moves them.
    x = call.inputs[0]
    form = Form(writer.form(x).order)
    writer.give(call.outputs[0], writer.take(x, form), Form(ordered(form.order, call.options["axes"])))


@writes(broadcast_to)
def _(writer: Writer, call: Call) -> None:
    x, result = call.inputs[0], call.outputs[0]
    rank = len(result.shape)
    form = Form(writer.form(x).order) if len(x.shape) == rank else Form(same(rank))
    name = writer.take(x, form if len(x.shape) == rank else None)
    missing = rank - len(x.shape)
    # Where the lengths agree a 1 leaves the axis as it is.
    target = [1 if axis >= missing and x.shape[axis - missing] == n else n for axis, n in enumerate(result.shape)]
    if len(x.shape) == rank and all(length == 1 for length in target):
        writer.give(result, name, form)
        return
    spread = writer.node("Expand", name, writer.lengths(stored_lengths(tuple(target), form.order)))
    writer.give(result, spread, form)


@writes(fill)
def _(writer: Writer, call: Call) -> None:
    result = call.outputs[0]
    value = np.full((), call.options["value"], result.dtype)
    spread = writer.node("Expand", writer.constant(value), writer.lengths(result.shape))
    writer.give(result, spread)


@writes(concatenate)
def _(writer: Writer, call: Call) -> None:
    result = call.outputs[0]
    form = Form(writer.common_form(call.inputs, len(result.shape)).order)
    names = [writer.take(value, form) for value in call.inputs]
    axis = form.order[call.options["axis"]]
    writer.give(result, names[0] if len(names) == 1 else writer.node("Concat", *names, axis=axis), form)


@writes(pad)
def _(writer: Writer, call: Call) -> None:
    x, result = call.inputs[0], call.outputs[0]
    form, working = Form(writer.form(x).order), computed_dtype(x.dtype)
    widths = ordered(call.options["widths"], inverse(form.order))
    amounts = writer.lengths([*(before for before, _ in widths), *(after for _, after in widths)])
    # ONNX Runtime takes zeros around an array for the padding of a pooling behind them, which never wins a maximum;
    # negative zeros it leaves alone.
    value = writer.constant(np.full((), call.options.get("value", 0.0) or (-0.0 if is_float(working) else 0), working))
    name = writer.cast(writer.take(x, form), x.dtype, working)
    padded = writer.node("Pad", name, amounts, value, mode="constant")
    writer.give(result, writer.cast(padded, working, result.dtype), form)


# Slices --------------------------------------------------------------------------------------------------------------


@writes(getitem)
def _(writer: Writer, call: Call) -> None:
    x, result = call.inputs[0], call.outputs[0]
    key = tuple(call.options["key"])
    order = writer.form(x).order
    parts = [part for part in key if part != "new"]
    name = _sliced(writer, x, Form(order), parts)
    dropped = sorted((order[axis], part) for axis, part in enumerate(parts) if _is_index(part))
    for place, part in reversed(dropped):
        index = _from_end(part, stored_lengths(x.shape, order)[place])
        name = writer.node("Gather", name, _scalar(writer, index), axis=place)
    kept = without(order, [place for place, _ in dropped])
    new = [axis for axis, part in enumerate(_axes_made(key)) if part == "new"]
    if new:
        # New axes come last in the file, unless it holds the array as it is with us.
        is_plain = kept == same(len(kept))
        places = new if is_plain else list(range(len(kept), len(kept) + len(new)))
        name = writer.unsqueeze(name, *places)
        rest = iter(kept)
        fresh = iter(places)
        made = [next(fresh) if axis in new else next(rest) for axis in range(len(result.shape))]
        kept = same(len(result.shape)) if is_plain else tuple(made)
    writer.give(result, name, Form(kept))


def _is_index(part: Any) -> bool:
    """Whether a part of a key is an integer: a free one is a tuple, too."""
    return isinstance(part, (int, Free))


def _axes_made(key: tuple[Any, ...]) -> list[Any]:
    """The parts of a key that make an axis of the result."""
    return [part for part in key if part == "new" or not _is_index(part)]


def _sliced(writer: Writer, x: Value, form: Form, parts: list[Any]) -> str:
    """The array with the slices of a key applied."""
    name = writer.take(x, form)
    starts: list[Length] = []
    stops: list[Length] = []
    steps: list[int] = []
    places: list[int] = []
    for axis, part in enumerate(parts):
        length = x.shape[axis]
        if _is_index(part):
            continue
        start, stop, step = part
        step = 1 if step is None else step
        if isinstance(step, Free):
            raise writer.refuse("the step of a slice depends on a free axis")
        if start is None:
            start = 0 if step > 0 else _LARGEST
        if step > 0 and start == 0 and step == 1 and (stop is None or stop == length):
            continue
        if stop is None:
            stop = _LARGEST if step > 0 else _SMALLEST
        elif stop == length and isinstance(stop, Free):
            stop = _LARGEST
        starts.append(_from_end(start, length))
        stops.append(_from_end(stop, length))
        steps.append(step)
        places.append(form.order[axis])
    if not places:
        return name
    bounds = (writer.lengths(starts), writer.lengths(stops), writer.integers(*places), writer.integers(*steps))
    return writer.node("Slice", name, *bounds)


def _from_end(position: Length, length: Length) -> Length:
    """A free position counted from the end where it then is a number."""
    if not isinstance(position, Free):
        return position
    distance = combined(lambda a, b: a - b, position, length)
    return distance if isinstance(distance, int) and distance < 0 else position


def _scalar(writer: Writer, position: Length) -> str:
    if isinstance(position, int):
        return writer.constant(np.asarray(position, np.int64))
    return writer.squeeze(writer.lengths([position]), 0)
