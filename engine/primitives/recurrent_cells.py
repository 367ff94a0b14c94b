"""Recurrent cells in NumPy, forwards and backwards through whole sequences: the reference of `recurrent`.

Arrays are in the dtype of the arithmetic; sequences have time first here, and steps lie one behind the other in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.primitives.primitive import Array
from engine.primitives.sums import column_sums

States = tuple[Array, ...]


def _sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):  # infinity gives the right 0
        return 1 / (1 + np.exp(-x))


def _sigmoid_slope(y: Array) -> Array:
    return y * (1 - y)


def _tanh_slope(y: Array) -> Array:
    return 1 - y * y


class Cell:
    """What a kind of cell computes in one step, and the way back.

    Attributes:
        gates: blocks of units in the kernels.
        biases: blocks of units in the bias.
        saved: blocks of units kept of each step for the way back.
        states: how many states there are; the first is the output.
    """

    gates: int
    biases: int
    saved: int
    states: int = 1

    def step(self, projected: Array, before: States, recurrent: Array, bias: Array, saved: Array) -> States:
        """The states after a step.

        Args:
            projected: the input's product with the first `gates` blocks of the bias added (batch, gates · units).
            before: the states before it.
            recurrent, bias: as the primitive got them.
            saved: filled with what the way back needs (batch, saved · units).
        """
        raise NotImplementedError

    def pull(
        self,
        gradients: States,
        before: States,
        after: Array,
        recurrent: Array,
        saved: Array,
        outer: Array,
        inner: Array,
    ) -> States:
        """The gradients by the states before a step, from those by the states after it.

        Args:
            after: the output of the step.
            outer, inner: filled with the gradients by the input's and the state's product (batch, gates · units).
        """
        raise NotImplementedError

    def earlier(self, outputs: Array, saved: Array) -> States:
        """The states after a step whose output and saved blocks are given."""
        return (outputs,)

    def recurrent_gradient(self, before: Array, saved: Array, inner: Array) -> Array:
        """The gradient by the recurrent kernel, from all steps as rows."""
        return before.T @ inner

    def bias_gradient(self, outer: Array, inner: Array) -> Array:
        """The gradient by the bias, from all steps as rows."""
        return column_sums(outer)


class Lstm(Cell):
    """Blocks: input, forget, candidate, output; saved are these, activated, and the cell state."""

    gates, biases, saved, states = 4, 4, 5, 2

    def step(self, projected: Array, before: States, recurrent: Array, bias: Array, saved: Array) -> States:
        hidden, cell_state = before
        units = hidden.shape[1]
        z = projected + hidden @ recurrent
        saved[:, : 4 * units] = _sigmoid(z)
        saved[:, 2 * units : 3 * units] = np.tanh(z[:, 2 * units : 3 * units])
        entering, kept, candidate, leaving, following = np.split(saved, 5, axis=1)
        np.multiply(kept, cell_state, out=following)
        following += entering * candidate
        return leaving * np.tanh(following), following

    def pull(
        self,
        gradients: States,
        before: States,
        after: Array,
        recurrent: Array,
        saved: Array,
        outer: Array,
        inner: Array,
    ) -> States:
        by_hidden, by_cell_state = gradients
        entering, kept, candidate, leaving, cell_state = np.split(saved, 5, axis=1)
        bounded = np.tanh(cell_state)
        by_cell_state = by_cell_state + by_hidden * leaving * _tanh_slope(bounded)
        first, second, third, fourth = np.split(outer, 4, axis=1)
        np.multiply(by_cell_state * candidate, _sigmoid_slope(entering), out=first)
        np.multiply(by_cell_state * before[1], _sigmoid_slope(kept), out=second)
        np.multiply(by_cell_state * entering, _tanh_slope(candidate), out=third)
        np.multiply(by_hidden * bounded, _sigmoid_slope(leaving), out=fourth)
        inner[...] = outer
        return outer @ recurrent.T, by_cell_state * kept

    def earlier(self, outputs: Array, saved: Array) -> States:
        return outputs, saved[:, 4 * outputs.shape[1] :]


class Gru(Cell):
    """Blocks: update, reset, candidate; saved are these, activated, and with `reset_after` the state's product.

    Args:
        reset_after: the reset gate multiplies the state's product with the kernel, to which a fourth block of the
            bias is added before; otherwise it multiplies the state.
    """

    gates, saved = 3, 4

    def __init__(self, reset_after: bool) -> None:
        self.reset_after = reset_after
        self.biases = 4 if reset_after else 3

    def step(self, projected: Array, before: States, recurrent: Array, bias: Array, saved: Array) -> States:
        (state,) = before
        units = state.shape[1]
        update, reset, candidate, inner = np.split(saved, 4, axis=1)
        both = slice(0, 2 * units)
        saved[:, both] = _sigmoid(projected[:, both] + state @ recurrent[:, both])
        if self.reset_after:
            np.add(state @ recurrent[:, 2 * units :], bias[3 * units :], out=inner)
            product = reset * inner
        else:
            product = (reset * state) @ recurrent[:, 2 * units :]
            inner[...] = 0
        np.tanh(projected[:, 2 * units :] + product, out=candidate)
        return (update * state + (1 - update) * candidate,)

    def pull(
        self,
        gradients: States,
        before: States,
        after: Array,
        recurrent: Array,
        saved: Array,
        outer: Array,
        inner: Array,
    ) -> States:
        (by_state,), (state,) = gradients, before
        units = state.shape[1]
        update, reset, candidate, product = np.split(saved, 4, axis=1)
        both = slice(0, 2 * units)
        by_candidate = by_state * (1 - update) * _tanh_slope(candidate)
        by_update = by_state * (state - candidate) * _sigmoid_slope(update)
        before_state = by_state * update
        if self.reset_after:
            by_reset, by_product = by_candidate * product, by_candidate * reset
            before_state += by_product @ recurrent[:, 2 * units :].T
        else:
            by_product = by_candidate
            by_masked = by_candidate @ recurrent[:, 2 * units :].T
            by_reset = by_masked * state
            before_state += by_masked * reset
        outer[:, :units], outer[:, units : 2 * units] = by_update, by_reset * _sigmoid_slope(reset)
        inner[:, both] = outer[:, both]
        outer[:, 2 * units :], inner[:, 2 * units :] = by_candidate, by_product
        return (before_state + outer[:, both] @ recurrent[:, both].T,)

    def recurrent_gradient(self, before: Array, saved: Array, inner: Array) -> Array:
        if self.reset_after:
            return before.T @ inner
        units = before.shape[1]
        masked = before * saved[:, units : 2 * units]
        return np.concatenate([before.T @ inner[:, : 2 * units], masked.T @ inner[:, 2 * units :]], axis=1)

    def bias_gradient(self, outer: Array, inner: Array) -> Array:
        if not self.reset_after:
            return column_sums(outer)
        units = outer.shape[1] // 3
        return np.concatenate([column_sums(outer), column_sums(inner[:, 2 * units :])])


class SimpleRnn(Cell):
    """One block, and nothing to save: the output says all.

    Args:
        activation: "tanh" or "relu".
    """

    gates, biases, saved = 1, 1, 0

    def __init__(self, activation: str) -> None:
        self.activation: Callable[[Array], Array] = np.tanh if activation == "tanh" else lambda z: np.maximum(z, 0)
        self.slope: Callable[[Array], Array] = _tanh_slope if activation == "tanh" else lambda y: y > 0

    def step(self, projected: Array, before: States, recurrent: Array, bias: Array, saved: Array) -> States:
        return (self.activation(projected + before[0] @ recurrent),)

    def pull(
        self,
        gradients: States,
        before: States,
        after: Array,
        recurrent: Array,
        saved: Array,
        outer: Array,
        inner: Array,
    ) -> States:
        np.multiply(gradients[0], self.slope(after), out=outer)
        inner[...] = outer
        return (outer @ recurrent.T,)


# Sequences -----------------------------------------------------------------------------------------------------------


def _order(length: int, backwards: bool) -> list[int]:
    return list(range(length))[:: -1 if backwards else 1]


def forward(
    cell: Cell, x: Array, states: States, kernel: Array, recurrent: Array, bias: Array, saved: Array, backwards: bool
) -> tuple[Array, States]:
    """The outputs (time, batch, units) and the last states for inputs (time, batch, features); fills `saved`."""
    length, batch, features = x.shape
    units = states[0].shape[1]
    projected = x.reshape(length * batch, features) @ kernel
    projected += bias[: cell.gates * units]
    projected = projected.reshape(length, batch, -1)
    outputs = np.empty((length, batch, units), x.dtype)
    for time in _order(length, backwards):
        states = cell.step(projected[time], states, recurrent, bias, saved[time])
        outputs[time] = states[0]
    return outputs, states


def backward(
    cell: Cell,
    by_outputs: Array,
    by_states: States,
    x: Array,
    states: States,
    kernel: Array,
    recurrent: Array,
    outputs: Array,
    saved: Array,
    backwards: bool,
) -> tuple[Array, States, Array, Array, Array]:
    """The gradients by inputs, first states, kernel, recurrent kernel and bias."""
    length, batch, _ = x.shape
    units = states[0].shape[1]
    outer = np.empty((length, batch, cell.gates * units), x.dtype)
    inner = np.empty_like(outer)
    before = np.empty_like(outputs)
    order = _order(length, backwards)
    for place in range(length - 1, -1, -1):
        time = order[place]
        preceding = states
        if place:
            earlier = order[place - 1]
            preceding = cell.earlier(outputs[earlier], saved[earlier])
        before[time] = preceding[0]
        gradients = (by_states[0] + by_outputs[time], *by_states[1:])
        by_states = cell.pull(gradients, preceding, outputs[time], recurrent, saved[time], outer[time], inner[time])

    def rows(array: Any) -> Any:
        return array.reshape(length * batch, -1) if array.shape[-1] else np.empty((length * batch, 0), x.dtype)

    outer_rows, inner_rows = rows(outer), rows(inner)
    return (
        (outer_rows @ kernel.T).reshape(x.shape),
        by_states,
        rows(x).T @ outer_rows,
        cell.recurrent_gradient(rows(before), rows(saved), inner_rows),
        cell.bias_gradient(outer_rows, inner_rows),
    )
