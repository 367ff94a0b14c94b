"""One step of a recurrent network, by primitives: what cells compute, and what whole sequences decompose into.

States are (batch, units). Blocks of units lie next to one another along the last axis, in Keras's order: input,
forget, candidate, output for LSTM; update, reset, candidate for GRU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.primitives.elementwise import add, multiply, subtract
from engine.primitives.linear import matmul
from engine.primitives.shaping import concatenate, getitem, reshape

Activation = Callable[[Any], Any]


def blocks(x: Any, first: int, last: int, units: int) -> Any:
    """Blocks `first` to `last` (excluded) of `x` along its last axis."""
    whole = (None, None, None)
    return getitem(x, key=(*(whole,) * (x.ndim - 1), (first * units, last * units, 1)))


def lstm_step(gates: Any, cell_state: Any, activation: Activation, recurrent_activation: Activation) -> tuple[Any, Any]:
    """(hidden state, cell state) from the sum of both products and the bias (batch, 4 · units)."""
    units = cell_state.shape[-1]
    entering = recurrent_activation(blocks(gates, 0, 1, units))
    kept = recurrent_activation(blocks(gates, 1, 2, units))
    candidate = activation(blocks(gates, 2, 3, units))
    leaving = recurrent_activation(blocks(gates, 3, 4, units))
    cell_state = add(multiply(kept, cell_state), multiply(entering, candidate))
    return multiply(leaving, activation(cell_state)), cell_state


def gru_step(
    projected: Any,
    states: Sequence[Any],
    recurrent_kernel: Any,
    candidate_bias: Any,
    reset_after: bool,
    activation: Activation,
    recurrent_activation: Activation,
) -> Any:
    """The next state.

    Args:
        projected: the input's product, biases of update and reset gate included (batch, 3 · units).
        states: the state as it is mixed with the candidate, then as each of the three gates sees it.
        recurrent_kernel: (units, 3 · units).
        candidate_bias: added to the state's product for the candidate, with `reset_after`; or None.
        reset_after: the reset gate multiplies the state's product, not the state.
        activation, recurrent_activation: of the candidate, and of the gates.
    """
    state, for_update, for_reset, for_candidate = states
    units = state.shape[-1]

    def product(value: Any, gate: int) -> Any:
        return matmul(value, blocks(recurrent_kernel, gate, gate + 1, units))

    update = recurrent_activation(add(blocks(projected, 0, 1, units), product(for_update, 0)))
    reset = recurrent_activation(add(blocks(projected, 1, 2, units), product(for_reset, 1)))
    if reset_after:
        inner = product(for_candidate, 2)
        if candidate_bias is not None:
            inner = add(inner, candidate_bias)
        inner = multiply(reset, inner)
    else:
        inner = product(multiply(reset, for_candidate), 2)
    candidate = activation(add(blocks(projected, 2, 3, units), inner))
    return add(multiply(update, state), multiply(subtract(1, update), candidate))


def unrolled(
    step: Callable[[Any, tuple[Any, ...]], tuple[Any, ...]], x: Any, states: tuple[Any, ...], backwards: bool
) -> tuple[Any, ...]:
    """A whole sequence, step by step.

    Args:
        step: (input (batch, features), states) -> states, the first of which is the output.
        x: (batch, time, features).
        states: at the beginning.
        backwards: from the last step to the first.

    Returns:
        The outputs in the order of the inputs (batch, time, units), then the states at the end.
    """
    times = range(x.shape[1])
    found: dict[int, Any] = {}
    for time in reversed(times) if backwards else times:
        states = step(getitem(x, key=((None, None, None), time)), states)
        found[time] = reshape(states[0], shape=(states[0].shape[0], 1, states[0].shape[-1]))
    return (concatenate(*(found[time] for time in times), axis=1), *states)
