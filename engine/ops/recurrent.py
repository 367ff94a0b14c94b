"""Recurrent networks over whole sequences, and one step of them: what recurrent layers and cells are made of.

Sequences are (batch, time, features), states (batch, units); kernels and biases as Keras's layers have them. Outputs
are in the order of the inputs, also where a network goes backwards through time.
"""

from __future__ import annotations

from typing import Any

from engine.ops.creation import zeros
from engine.primitives import recurrent as r
from engine.primitives.apply import as_value
from engine.primitives.casting import cast
from engine.primitives.elementwise import add
from engine.primitives.recurrent_steps import blocks, gru_step, lstm_step
from engine.primitives.shaping import concatenate, reshape

__all__ = ["gru", "gru_biases", "gru_step", "lstm", "lstm_step", "simple_rnn"]


def lstm(
    x: Any, states: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, backwards: bool = False
) -> tuple[Any, Any, Any]:
    """(outputs (batch, time, units), last hidden state, last cell state); tanh and sigmoid.

    Args:
        x: (batch, time, features).
        states: the hidden state and the cell state at the beginning, each (batch, units).
        kernel, recurrent_kernel, bias: of input, forget, candidate and output, side by side; the bias may be None.
        backwards: from the last step to the first.
    """
    return r.lstm(*_alike(x, *states, kernel, recurrent_kernel, _bias(bias, kernel)), backwards=backwards)


def gru(
    x: Any,
    state: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    reset_after: bool = True,
    backwards: bool = False,
) -> tuple[Any, Any]:
    """(outputs (batch, time, units), last state); tanh and sigmoid.

    Args:
        x: (batch, time, features).
        state: at the beginning (batch, units).
        kernel, recurrent_kernel, bias: of update, reset and candidate, side by side; the bias may be None.
        reset_after: the reset gate multiplies the state's product with its kernel, not the state; the bias then is
            (2, 3 · units), for the inputs and for the state.
        backwards: from the last step to the first.
    """
    values = _alike(x, state, kernel, recurrent_kernel, gru_biases(bias, kernel, reset_after))
    return r.gru(*values, reset_after=reset_after, backwards=backwards)


def simple_rnn(
    x: Any,
    state: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    activation: str = "tanh",
    backwards: bool = False,
) -> tuple[Any, Any]:
    """(outputs (batch, time, units), last state).

    Args:
        x: (batch, time, features).
        state: at the beginning (batch, units).
        kernel, recurrent_kernel, bias: the bias may be None.
        activation: "tanh" or "relu".
        backwards: from the last step to the first.
    """
    values = _alike(x, state, kernel, recurrent_kernel, _bias(bias, kernel))
    return r.simple_rnn(*values, activation=activation, backwards=backwards)


def gru_biases(bias: Any, kernel: Any, reset_after: bool) -> Any:
    """A GRU's bias in a row: update, reset, candidate; with `reset_after` a fourth part, for the state's product.

    The two biases of update and reset gate are only ever added: one of them is enough.
    """
    units = kernel.shape[-1] // 3
    if not reset_after:
        return _bias(bias, kernel)
    if bias is None:
        return zeros((4 * units,), kernel.dtype)
    pair = as_value(bias)
    flat = reshape(pair, shape=(6 * units,))
    gates = add(blocks(flat, 0, 2, units), blocks(flat, 3, 5, units))
    return concatenate(gates, blocks(flat, 2, 3, units), blocks(flat, 5, 6, units), axis=0)


def _bias(bias: Any, kernel: Any) -> Any:
    return zeros(kernel.shape[-1:], kernel.dtype) if bias is None else bias


def _alike(x: Any, *others: Any) -> list[Any]:
    """All operands in the dtype of the first."""
    first = as_value(x)
    values = [as_value(item) for item in others]
    dtype = first.dtype.name
    return [first, *(value if value.dtype.name == dtype else cast(value, dtype=dtype) for value in values)]
