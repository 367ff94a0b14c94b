"""Recurrent networks: LSTM, GRU and RNN, one layer for each direction.

ONNX has (time, batch, features) and ours (batch, time, features): the order of axes says so, and nothing is moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import layers, ops
from engine.layers.extensions import PeepholeLSTMCell
from engine.onnx.axes import Order
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.evaluation import numbered
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value

_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2), "RNN": (0,)}
"""Where our gates lie among ONNX's: i, f, c, o among i, o, f, c; z, r, h; the only one."""
_ACTIVATIONS = {
    "Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu", "Softplus": "softplus", "Softsign": "softsign",
}  # fmt: skip
_USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


class Direction(NamedTuple):
    """The weights of one direction, in our layout."""

    kernel: NDArray[Any]
    recurrent: NDArray[Any]
    bias: NDArray[Any]
    peepholes: NDArray[Any] | None


class Result(NamedTuple):
    """What one direction gives: outputs (batch, time, units), and the last states (batch, units)."""

    outputs: Any
    states: list[Any]


@operator("LSTM", "GRU", "RNN")
def recurrent(builder: Builder, node: Node) -> Sequence[Value | None]:
    """ONNX's LSTM, GRU and RNN."""
    value = node[0]
    kernels = node.constant(1, "W")
    is_batch_first = bool(node.get("layout", 0))
    units = kernels.shape[1] // len(_GATES[node.operator])
    direction = node.get("direction", "forward")
    reverse = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}.get(direction)
    if reverse is None or kernels.ndim != 3 or len(kernels) != len(reverse) or node.get("hidden_size", units) != units:
        raise ValueError(f"it goes {direction!r} with weights of the shape {kernels.shape}, and keeps {units} units")
    if node.get("clip", 0.0):
        node.refuse("clipping of what gates see is not supported")
    if node.get("input_forget", 0):
        node.refuse("coupled input and forget gates are not supported")
    order: Order = (0, 1, 2) if is_batch_first else (1, 0, 2)
    builder.keeps_examples_apart(value, [axis for axis in range(value.rank) if axis != order[0]])
    tensor = builder.arranged(value, order)
    mask = _mask(builder, node, tensor)
    results = []
    for index, is_reverse in enumerate(reverse):
        layer, weights = _layer(builder, node, index, units, is_reverse)
        options: dict[str, Any] = {} if mask is None else {"mask": mask}
        states = _initial_states(builder, node, index, is_batch_first)
        if states:
            options["initial_state"] = states
        outputs, *last = builder.layer(layer, tensor, weights=weights, **options)
        if is_reverse:
            outputs = ops.flip(outputs, axis=1)
        if mask is not None:  # outputs behind the end of an example are 0
            outputs = ops.multiply(outputs, ops.expand_dims(ops.cast(mask, outputs.dtype.name), -1))
        results.append(Result(outputs, last))
    return _outputs(node, results, is_batch_first)


def _outputs(node: Node, results: list[Result], is_batch_first: bool) -> Sequence[Value | None]:
    """Y, Y_h and Y_c, with an axis for the directions."""
    sequence = _stacked([result.outputs for result in results], 2)
    # Ours: batch, time, directions, units. Theirs: time, directions, batch, units; or batch first.
    values: list[Value | None] = [Value("", sequence, (0, 1, 2, 3) if is_batch_first else (2, 0, 1, 3))]
    for index in range(len(node.outputs) - 1):
        state = _stacked([result.states[index] for result in results], 1)
        values.append(Value("", state, (0, 1, 2) if is_batch_first else (1, 0, 2)))
    return values


def _stacked(tensors: list[Any], axis: int) -> Any:
    return ops.expand_dims(tensors[0], axis) if len(tensors) == 1 else ops.stack(tensors, axis=axis)


# Layers --------------------------------------------------------------------------------------------------------------


def _layer(builder: Builder, node: Node, index: int, units: int, is_reverse: bool) -> tuple[Any, list[NDArray[Any]]]:
    """The layer of one direction, and its weights."""
    weights = _weights(node, index, units)
    names = _activations(node, index)
    shared: dict[str, Any] = {"return_sequences": True, "return_state": True, "go_backwards": is_reverse}
    shared |= {"name": builder.name("_backward" if is_reverse else ""), "dtype": policy(node[0].dtype)}
    arrays = [weights.kernel, weights.recurrent, weights.bias]
    if node.operator == "RNN":
        return layers.SimpleRNN(units, names[0], **shared), arrays
    if node.operator == "GRU":
        after = bool(node.get("linear_before_reset", 0))
        return layers.GRU(units, names[1], names[0], reset_after=after, **shared), arrays
    if names[1] != names[2]:
        node.refuse(f"different activations of cell and output ({names[1]} and {names[2]}) are not supported")
    if weights.peepholes is None:
        return layers.LSTM(units, names[1], names[0], unit_forget_bias=False, **shared), arrays
    cell = PeepholeLSTMCell(units, names[1], names[0], unit_forget_bias=False, dtype=shared["dtype"])
    return layers.RNN(cell, **shared), [*arrays, weights.peepholes]


def _weights(node: Node, index: int, units: int) -> Direction:
    gates = _GATES[node.operator]
    count = len(gates)
    kernel, recurrent_kernel = node.constant(1, "W")[index], node.constant(2, "R")[index]
    if recurrent_kernel.shape != (count * units, units):
        raise ValueError(f"its recurrent weights have the shape {recurrent_kernel.shape} for {units} units")
    offsets = (
        node.constant(3, "B")[index] if node.optional(3) is not None else np.zeros(2 * count * units, kernel.dtype)
    )
    if offsets.shape != (2 * count * units,):
        raise ValueError(f"its biases have the shape {offsets.shape} for {units} units")
    pair = offsets.reshape(2, count, units)[:, list(gates)].reshape(2, count * units)
    peepholes = None
    if node.operator == "LSTM" and node.optional(7) is not None:
        found = node.constant(7, "P")[index].reshape(3, units)[[0, 2, 1]]
        peepholes = found if found.any() else None
    return Direction(
        _reordered(kernel, gates, units),
        _reordered(recurrent_kernel, gates, units),
        pair if node.operator == "GRU" and node.get("linear_before_reset", 0) else pair.sum(0),
        peepholes,
    )


def _reordered(kernel: NDArray[Any], gates: Sequence[int], units: int) -> NDArray[Any]:
    """(gates · units, features) as (features, gates · units), the gates in our order."""
    return kernel.reshape(len(gates), units, -1)[list(gates)].reshape(len(gates) * units, -1).T


def _activations(node: Node, index: int) -> list[str]:
    """Our names of the activations of one direction."""
    usual = _USUAL[node.operator]
    given = node.get("activations")
    names = usual if given is None else given[index * len(usual) : (index + 1) * len(usual)]
    if len(names) != len(usual):
        raise ValueError(f"it has the activations {given}; expected {len(usual)} for each direction")
    if node.get("activation_alpha") or node.get("activation_beta"):
        known = {"Sigmoid", "Tanh", "Relu"}
        if not set(names) <= known:
            node.refuse("activations with an alpha or a beta are not supported")
    unknown = [name for name in names if name not in _ACTIVATIONS]
    if unknown:
        node.refuse(f"the activation {unknown[0]} is not supported")
    return [_ACTIVATIONS[name] for name in names]


# Inputs --------------------------------------------------------------------------------------------------------------


def _initial_states(builder: Builder, node: Node, index: int, is_batch_first: bool) -> list[Any]:
    """The states at the beginning, or none where they are zeros."""
    count = 2 if node.operator == "LSTM" else 1
    given = [node.optional(place) for place in range(5, 5 + count)]
    if all(value is None or value.is_zero for value in given):
        return []
    order: Order = (0, 1, 2) if is_batch_first else (1, 0, 2)
    states = []
    for value in given:
        if value is None or value.is_constant or value.is_zero:
            node.refuse("initial states that are constants, but for zeros, are not supported")
        states.append(builder.arranged(value, order)[:, index])
    return states


def _mask(builder: Builder, node: Node, tensor: Any) -> Any:
    """Which steps count, from the lengths of the examples; None: all."""
    lengths = node.optional(4)
    if lengths is None:
        return None
    steps = tensor.shape[1]
    if lengths.constant is not None and steps is not None and bool((lengths.constant >= steps).all()):
        return None
    if lengths.is_constant or steps is None:
        node.refuse("lengths of the examples need a known number of steps, and must not be constants")
    places = numbered(steps).reshape(1, steps).tolist()
    return ops.greater(ops.expand_dims(builder.as_file(lengths), 1), ops.convert_to_tensor(places, dtype="int32"))
