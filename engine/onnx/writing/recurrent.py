"""Writing recurrent networks over whole sequences: ONNX's LSTM, GRU and RNN.

What these cannot do (other activations, masks, cells of one's own) was captured step by step, and is written so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.onnx.writing.computation import Call, Value
from engine.onnx.writing.file_graph import FLOAT32
from engine.onnx.writing.form import Form
from engine.onnx.writing.rules import writes
from engine.onnx.writing.writer import Writer
from engine.primitives.primitive import Array
from engine.primitives.recurrent import gru, lstm, simple_rnn
from engine.primitives.shaping import broadcast_to

_TIME_FIRST = (1, 0, 2)
_OPERATORS = {lstm: "LSTM", gru: "GRU", simple_rnn: "RNN"}
# By operator: which of our blocks of units is ONNX's first, second …
_BLOCKS = {lstm: (0, 3, 1, 2), gru: (0, 1, 2), simple_rnn: (0,)}
_STATES = {lstm: 2, gru: 1, simple_rnn: 1}


@writes(lstm, gru, simple_rnn)
def _(writer: Writer, call: Call) -> None:
    count, options = _STATES[call.primitive], call.options
    x, *others = call.inputs
    states, (kernel, recurrent, bias) = others[:count], others[count:]
    units = recurrent.shape[0]
    if not isinstance(units, int):
        raise writer.refuse("its units depend on a free axis")
    attributes: dict[str, Any] = {"hidden_size": units}
    if options.get("backwards", False):
        attributes["direction"] = "reverse"
    reset_after = call.primitive is gru and bool(options.get("reset_after", True))
    if call.primitive is gru:
        attributes["linear_before_reset"] = int(reset_after)
    if call.primitive is simple_rnn:
        attributes["activations"] = ["Relu" if options.get("activation", "tanh") == "relu" else "Tanh"]
    blocks = _BLOCKS[call.primitive]
    inputs = [
        writer.cast(writer.take(x, _TIME_FIRST), x.dtype, FLOAT32),
        _weights(writer, kernel, blocks, units),
        _weights(writer, recurrent, blocks, units),
        _biases(writer, bias, blocks, units, reset_after),
    ]
    if not all(_is_zero(state) for state in states):
        inputs.append("")  # the lengths of the sequences: all are whole
        inputs += [writer.unsqueeze(writer.cast(writer.take(state), state.dtype, FLOAT32), 0) for state in states]
    outputs = writer.nodes_outputs(_OPERATORS[call.primitive], inputs, count + 1, **attributes)
    result = call.outputs[0]
    sequence = writer.squeeze(outputs[0], 1)  # the axis of directions
    writer.give(result, writer.cast(sequence, FLOAT32, result.dtype), Form(_TIME_FIRST))
    for value, name in zip(call.outputs[1 : count + 1], outputs[1:], strict=True):
        writer.give(value, writer.cast(writer.squeeze(name, 0), FLOAT32, value.dtype))


def _rows(blocks: Sequence[int], units: int) -> Any:
    return np.concatenate([np.arange(block * units, (block + 1) * units) for block in blocks])


def _weights(writer: Writer, value: Value, blocks: Sequence[int], units: int) -> str:
    """A kernel (inputs, blocks · units) as ONNX has it: (1, blocks · units, inputs), its blocks in another order."""
    rows = _rows(blocks, units)
    if value.array is not None:
        return writer.take(writer.remade(value, ("rows", *blocks), lambda array: array.T[rows][None].astype(FLOAT32)))
    turned = writer.node("Gather", writer.take(value, (1, 0)), writer.constant(rows.astype(np.int64)), axis=0)
    return writer.unsqueeze(writer.cast(turned, value.dtype, FLOAT32), 0)


def _biases(writer: Writer, value: Value, blocks: Sequence[int], units: int, reset_after: bool) -> str:
    """The biases of the input's products and of the state's, in a row (1, 2 · blocks · units)."""
    rows = _rows(blocks, units)
    # A zero behind all biases stands for those of the state that are none.
    of_states = np.full(len(rows), (4 if reset_after else len(blocks)) * units)
    if reset_after:
        of_states[2 * units :] = np.arange(3 * units, 4 * units)
    places = np.concatenate([rows, of_states]).astype(np.int64)
    nothing = np.zeros(1, np.float32)
    if value.array is not None:

        def row(array: Array) -> Array:
            return np.concatenate([array.astype(FLOAT32), nothing])[places][None]

        return writer.take(writer.remade(value, ("biases", *blocks, reset_after), row))
    given = writer.cast(writer.take(value), value.dtype, FLOAT32)
    given = writer.node("Concat", given, writer.constant(nothing), axis=0)
    return writer.unsqueeze(writer.node("Gather", given, writer.constant(places), axis=0), 0)


def _is_zero(value: Value) -> bool:
    """Whether a state is zero, as it is unless one was given."""
    while value.array is None and value.call is not None and value.call.primitive is broadcast_to:
        value = value.call.inputs[0]
    return value.array is not None and not value.array.any()
