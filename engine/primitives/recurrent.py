"""Recurrent networks over whole sequences: LSTM, GRU and the simple recurrent network, and their gradients.

Inputs are (batch, time, features), states (batch, units); kernels (features, gates · units), recurrent kernels (units,
gates · units) and biases (blocks · units,) hold the gates in Keras's order. Outputs are in the order of the inputs,
also where a network goes backwards through time. Half types compute in float32.

A forward pass leaves a workspace for its gradient: bytes that only the implementation which wrote them can read. Their
first byte says whose they are. A gradient that finds another's never reads on: the reference computes the forward pass
again, kernels refuse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.primitives.activations import relu, sigmoid
from engine.primitives.casting import cast
from engine.primitives.decomposition import differentiate
from engine.primitives.dispatch import device
from engine.primitives.elementwise import add, tanh
from engine.primitives.linear import matmul
from engine.primitives.primitive import Array, Primitive, Spec, primitive
from engine.primitives.recurrent_cells import Cell, Gru, Lstm, SimpleRnn, backward, forward
from engine.primitives.recurrent_steps import blocks, gru_step, lstm_step, unrolled
from engine.primitives.sums import accumulation_dtype
from engine.tape import Tape

WORKSPACE_START = 64  # bytes before the workspace itself, of which the first says who wrote it
WRITTEN_BY_REFERENCE = 1
WRITTEN_BY_ONEDNN = 2
_BYTES = np.dtype(np.uint8)

# By device: (primitive's name, x, units, options) -> how many bytes its kernel leaves for the gradient.
workspace_sizes: dict[str, Callable[[str, Spec, int, dict[str, Any]], int]] = {}


# Workspaces ----------------------------------------------------------------------------------------------------------


def _saved_shape(cell: Cell, x: Spec | Array, units: int) -> tuple[int, int, int]:
    return x.shape[1], x.shape[0], cell.saved * units


def _workspace(name: str, cell: Cell, x: Spec, units: int, options: dict[str, Any]) -> Spec:
    """Room for what the reference saves, and for what the active device's kernel does."""
    size = math.prod(_saved_shape(cell, x, units)) * accumulation_dtype(x.dtype).itemsize
    ask = workspace_sizes.get(device())
    if ask is not None:
        size = max(size, ask(name, x, units, options))
    return Spec((WORKSPACE_START + size,), _BYTES)


def _saved(workspace: Array, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Array:
    """The reference's part of a workspace as an array."""
    end = WORKSPACE_START + math.prod(shape) * dtype.itemsize
    return workspace[WORKSPACE_START:end].view(dtype).reshape(shape)


# Rules ---------------------------------------------------------------------------------------------------------------


def _check(name: str, cell: Cell, x: Spec, *others: Spec) -> int:
    """The number of units; raises ValueError where shapes do not fit."""
    *states, kernel, recurrent, bias = others
    if len(x.shape) != 3 or x.shape[1] < 1:
        raise ValueError(
            f"{name} expects inputs (batch, time, features) of at least one step. Received: shape {x.shape}"
        )
    batch, _, features = x.shape
    units = recurrent.shape[0] if recurrent.shape else 0
    expected = {
        "a kernel": (kernel, (features, cell.gates * units)),
        "a recurrent kernel": (recurrent, (units, cell.gates * units)),
        "a bias": (bias, (cell.biases * units,)),
        **{f"state {index}": (state, (batch, units)) for index, state in enumerate(states)},
    }
    for what, (spec, shape) in expected.items():
        if spec.shape != shape:
            raise ValueError(
                f"{name} of inputs {x.shape} with a recurrent kernel {recurrent.shape} expects {what} of shape "
                f"{shape}. Received: {spec.shape}"
            )
    return units


# Declarations --------------------------------------------------------------------------------------------------------


def _declare(name: str, cell_for: Callable[..., Cell], step: Callable[..., Any], summary: str) -> tuple[Any, Any]:
    """The primitive of a kind of network, and that of its gradient.

    Args:
        cell_for: from the options to the reference's cell.
        step: (x, states, kernel, recurrent kernel, bias, **options) -> states, by primitives.
    """
    count = cell_for().states

    def forward_rule(x: Spec, *others: Spec, backwards: bool = False, **options: Any) -> tuple[Spec, ...]:
        cell = cell_for(**options)
        units = _check(name, cell, x, *others)
        state = Spec((x.shape[0], units), x.dtype)
        workspace = _workspace(name, cell, x, units, {"backwards": backwards, **options})
        return Spec((*x.shape[:2], units), x.dtype), *(state,) * count, workspace

    def compute(*inputs: Array, backwards: bool = False, **options: Any) -> tuple[Array, ...]:
        specs = forward_rule(*(Spec(array.shape, array.dtype) for array in inputs), backwards=backwards, **options)
        cell, wide = cell_for(**options), accumulation_dtype(inputs[0].dtype)
        x, *others = (array.astype(wide, copy=False) for array in inputs)
        workspace = np.empty(specs[-1].shape, _BYTES)
        workspace[0] = WRITTEN_BY_REFERENCE
        saved = _saved(workspace, _saved_shape(cell, x, specs[0].shape[-1]), wide)
        kernel, recurrent, bias = others[count:]
        by_time = np.ascontiguousarray(x.swapaxes(0, 1))
        y, states = forward(cell, by_time, tuple(others[:count]), kernel, recurrent, bias, saved, backwards)
        results = (array.astype(inputs[0].dtype, copy=False) for array in (y.swapaxes(0, 1), *states))
        return *results, workspace

    def gradient_rule(*specs: Spec, backwards: bool = False, **options: Any) -> tuple[Spec, ...]:
        incoming, (x, *others) = specs[: count + 1], specs[count + 1 : 2 * count + 5]
        units = _check(f"{name}'s gradient", cell_for(**options), x, *others)
        expected = ((*x.shape[:2], units), *((x.shape[0], units),) * count)
        received = tuple(spec.shape for spec in incoming)
        if received != expected:
            raise ValueError(f"{name}'s gradient expects output gradients of {expected}. Received: {received}")
        return tuple(Spec(spec.shape, spec.dtype) for spec in (x, *others))

    def compute_gradient(*arrays: Array, backwards: bool = False, **options: Any) -> tuple[Array, ...]:
        gradient_rule(*(Spec(array.shape, array.dtype) for array in arrays), backwards=backwards, **options)
        cell, wide = cell_for(**options), accumulation_dtype(arrays[0].dtype)
        inputs, workspace = arrays[count + 1 : 2 * count + 5], arrays[-1]
        if workspace[0] != WRITTEN_BY_REFERENCE:
            workspace = compute(*inputs, backwards=backwards, **options)[-1]
        saved = _saved(workspace, _saved_shape(cell, inputs[0], arrays[1].shape[-1]), wide)
        values = [array.astype(wide, copy=False) for array in arrays[:-1]]
        by_y, *by_states = values[: count + 1]
        x, *others = values[count + 1 : 2 * count + 5]
        y = values[2 * count + 5]
        states, (kernel, recurrent, _) = tuple(others[:count]), others[count:]
        dx, first, *rest = backward(
            cell,
            by_y.swapaxes(0, 1),
            tuple(by_states),
            np.ascontiguousarray(x.swapaxes(0, 1)),
            states,
            kernel,
            recurrent,
            np.ascontiguousarray(y.swapaxes(0, 1)),
            saved,
            backwards,
        )
        results = (dx.swapaxes(0, 1), *first, *rest)
        return tuple(result.astype(given.dtype, copy=False) for result, given in zip(results, inputs, strict=True))

    compute.__name__, compute.__doc__ = name, summary
    compute_gradient.__name__ = f"{name}_gradient"
    compute_gradient.__doc__ = (
        f"The gradients of `{name}` with respect to its inputs, from those with respect to its outputs, its inputs, "
        "its outputs and its workspace."
    )
    whole = primitive(forward_rule, outputs=count + 1, residuals=1)(compute)
    way_back = primitive(gradient_rule, outputs=count + 4)(compute_gradient)

    @whole.gradient
    def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, **options: Any) -> Any:
        return list(way_back(*gradients, *inputs, *outputs, *residuals, **options))

    @way_back.gradient
    def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, **options: Any) -> Any:
        # Outputs and workspace are functions of the inputs, which the formula computes again.
        independent = 2 * count + 5
        formula = _gradient_formula(_formula(step, count, inputs[count + 1].dtype, **options), count)
        found = differentiate(formula, needed[:independent], gradients, inputs[:independent])
        return [*found, *[None] * (len(inputs) - independent)]

    return whole, way_back


def _formula(
    step: Callable[..., Any], count: int, dtype: np.dtype[Any], backwards: bool = False, **options: Any
) -> Callable[..., tuple[Any, ...]]:
    """A network by primitives, in `accumulation_dtype`."""
    wide = accumulation_dtype(dtype).name

    def formula(*inputs: Any) -> tuple[Any, ...]:
        x, *others = (cast(value, dtype=wide) if value.dtype.name != wide else value for value in inputs)
        parameters = others[count:]
        results = unrolled(
            lambda value, states: step(value, states, *parameters, **options), x, tuple(others[:count]), backwards
        )
        return tuple(cast(value, dtype=dtype.name) if wide != dtype.name else value for value in results)

    return formula


def _gradient_formula(formula: Callable[..., tuple[Any, ...]], count: int) -> Callable[..., tuple[Any, ...]]:
    def gradients(*values: Any) -> tuple[Any, ...]:
        incoming, inputs = values[: count + 1], values[count + 1 :]
        with Tape(watch_variables=False) as tape:
            for value in inputs:
                tape.watch(value)
            outputs = formula(*inputs)
        return tuple(tape.gradient(list(outputs), list(inputs), list(incoming)))

    return gradients


# Kinds ---------------------------------------------------------------------------------------------------------------


def _lstm(x: Any, states: tuple[Any, ...], kernel: Any, recurrent: Any, bias: Any) -> tuple[Any, ...]:
    hidden, cell_state = states
    gates = add(matmul(x, kernel, bias), matmul(hidden, recurrent))
    return lstm_step(gates, cell_state, tanh, sigmoid)


def _gru(
    x: Any, states: tuple[Any, ...], kernel: Any, recurrent: Any, bias: Any, reset_after: bool = True
) -> tuple[Any, ...]:
    units = recurrent.shape[0]
    projected = matmul(x, kernel, blocks(bias, 0, 3, units))
    candidate_bias = blocks(bias, 3, 4, units) if reset_after else None
    return (gru_step(projected, states * 4, recurrent, candidate_bias, reset_after, tanh, sigmoid),)


def _simple_rnn(
    x: Any, states: tuple[Any, ...], kernel: Any, recurrent: Any, bias: Any, activation: str = "tanh"
) -> tuple[Any, ...]:
    product = add(matmul(x, kernel, bias), matmul(states[0], recurrent))
    return (tanh(product) if activation == "tanh" else relu(product),)


def _gru_cell(reset_after: bool = True) -> Cell:
    return Gru(reset_after)


def _simple_rnn_cell(activation: str = "tanh") -> Cell:
    return SimpleRnn(activation)


lstm: Primitive
lstm, lstm_gradient = _declare(
    "lstm",
    Lstm,
    _lstm,
    """(y, last hidden state, last cell state) from (x, hidden state, cell state, kernel, recurrent kernel, bias).

    Blocks: input, forget, candidate, output; tanh and sigmoid. Option `backwards`: from the last step to the first.
    """,
)
gru: Primitive
gru, gru_gradient = _declare(
    "gru",
    _gru_cell,
    _gru,
    """(y, last state) from (x, state, kernel, recurrent kernel, bias).

    Blocks: update, reset, candidate; tanh and sigmoid. With the option `reset_after` the reset gate multiplies the
    state's product, to which a fourth block of the bias is added before. Option `backwards` as for `lstm`.
    """,
)
simple_rnn: Primitive
simple_rnn, simple_rnn_gradient = _declare(
    "simple_rnn",
    _simple_rnn_cell,
    _simple_rnn,
    """(y, last state) from (x, state, kernel, recurrent kernel, bias).

    One block; option `activation`: "tanh" or "relu". Option `backwards` as for `lstm`.
    """,
)
PAIRS = {
    "lstm": (lstm, lstm_gradient),
    "gru": (gru, gru_gradient),
    "simple_rnn": (simple_rnn, simple_rnn_gradient),
}
"""By name: a kind of network and its gradient."""
