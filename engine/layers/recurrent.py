"""RNN: a cell that goes through time; and cells stacked into one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from engine import ops, tree
from engine.layers.layer import Layer
from engine.layers.recurrent_cells import RecurrentCell
from engine.ops.operation import inferring
from engine.registry import deserialize, registered, serialize
from engine.variable import Variable


def _require_cell(cell: Any) -> None:
    for attribute in ("call", "state_size"):
        if not hasattr(cell, attribute):
            raise ValueError(f"A recurrent cell needs `call` and `state_size`. Received: cell={cell!r}")


@registered("keras.layers")
class StackedRNNCells(Layer):
    """Cells on top of one another as one cell: each gets the output of the one below.

    Args:
        cells: from the lowest on.
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            _require_cell(cell)
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """The lengths of the states, for each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The length of the output: the highest cell's."""
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The states at the beginning, for each cell."""
        return [_initial_state(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], _output_size(cell))

    def call(self, inputs: Any, states: Any, training: bool = False, **kwargs: Any) -> Any:
        following = []
        for cell, state in zip(self.cells, states, strict=True):
            inputs, new = step(cell, inputs, state if tree.is_nested(state) else [state], training)
            following.append(new if tree.is_nested(state) else new[0])
        return inputs, following

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cells": [serialize(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        cells = [deserialize(cell, custom_objects) for cell in config["cells"]]
        return cls(cells, **{key: value for key, value in config.items() if key != "cells"})


def step(cell: Any, inputs: Any, states: Any, training: Any) -> tuple[Any, list[Any]]:
    """(output, states) of one step; cells that are no layers are objects with a `call`."""
    if isinstance(cell, Layer):
        takes_training = cell._call_signature.takes_training
        output, following = cell(inputs, states, **({"training": training} if takes_training else {}))
    else:
        output, following = cell.call(inputs, states)
    return output, list(following) if tree.is_nested(following) else [following]


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size
    if not isinstance(size, int):
        raise ValueError(f"A recurrent cell's `output_size` must be an integer. Received: {size!r} of {cell!r}")
    return size


def _initial_state(cell: Any, batch_size: Any, dtype: str) -> Any:
    if hasattr(cell, "get_initial_state"):
        return cell.get_initial_state(batch_size=batch_size)
    return tree.map_structure(lambda size: ops.zeros((batch_size, size), dtype=dtype), cell.state_size)


class _KeptStates:
    """The states that a stateful layer keeps between calls; they are no weights of the layer's."""

    def __init__(self, states: list[Any]) -> None:
        self.states = states


@registered("keras.layers")
class RNN(Layer):
    """Goes through a sequence (batch, time, …) with a cell.

    Args:
        cell: a layer or an object with `state_size`, `output_size` and `call(inputs, states) -> (output, states)`; a
            list of cells is stacked.
        return_sequences: the outputs of all steps (batch, time, units) are returned, not only the last one.
        return_state: the last states are returned too, after the output.
        go_backwards: from the last step to the first; the outputs then are in that order.
        stateful: the last states of a batch are the first ones of the next; `reset_state()` makes them zero.
        unroll: taken for compatibility.
        zero_output_for_mask: masked steps give zeros, not the output of the step before.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        _require_cell(cell)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        size = cell.state_size
        self.single_state = isinstance(size, int)
        self.state_size = [size] if self.single_state else list(size)
        self._kept: _KeptStates | None = None

    # Shapes ----------------------------------------------------------------------------------------------------------

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, size = sequences_shape[0], _output_size(self.cell)
        output = (batch, sequences_shape[1], size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return output
        return [output, *tree.map_structure(lambda length: (batch, length), self.state_size)]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        mask = tree.flatten(previous_mask)[0] if tree.is_nested(previous_mask) else previous_mask
        output = mask if self.return_sequences else None
        return [output, *(None for _ in self.state_size)] if self.return_state else output

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful:
            if sequences_shape[0] is None:
                raise ValueError(
                    f"Layer {self.name!r} is stateful, so that the size of its batches must be known. Received: input "
                    f"shape {sequences_shape}"
                )
            self._keep(sequences_shape[0])

    # States ----------------------------------------------------------------------------------------------------------

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states at the beginning of sequences."""
        state = _initial_state(self.cell, batch_size, self.compute_dtype)
        return list(state) if tree.is_nested(state) else [state]

    @property
    def states(self) -> list[Any] | None:
        """The variables in which a stateful layer keeps its states."""
        return None if self._kept is None else self._kept.states

    def _keep(self, batch_size: int) -> None:
        def variable(value: Any) -> Variable:
            kept = Variable(value, dtype=self.variable_dtype, trainable=False, name="rnn_state")
            kept.path = f"{self.path}/{kept.name}"
            return kept

        self._kept = _KeptStates(tree.map_structure(variable, self.get_initial_state(batch_size)))

    def reset_state(self) -> None:
        """Makes the states that a stateful layer keeps zero."""
        for variable in tree.flatten(self.states or []):
            variable.assign(ops.zeros(variable.shape, variable.dtype))

    def reset_states(self) -> None:
        """`reset_state` by its older name."""
        self.reset_state()

    # Calls -----------------------------------------------------------------------------------------------------------

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if initial_state is None:
            initial_state = self.states if self.stateful else self.get_initial_state(sequences.shape[0])
        states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
        self._check_states(sequences, states)
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        states = tree.map_structure(lambda state: ops.cast(ops.convert_to_tensor(state), dtype), states)
        try:
            output, outputs, states = self.inner_loop(sequences, states, mask, training)
        finally:
            self._forget_masks()
        if self.stateful and not inferring():
            for variable, state in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                variable.assign(state)
        result = outputs if self.return_sequences else output
        return (result, *states) if self.return_state else result

    def _check_states(self, sequences: Any, states: list[Any]) -> None:
        if len(states) != len(self.state_size):
            raise ValueError(f"expected {len(self.state_size)} initial states. Received: {len(states)}")
        for state in tree.flatten(states):
            if state.shape[0] != sequences.shape[0]:
                reason = "is stateful: all batches must have the size with which it was built" if self.stateful else ""
                raise ValueError(
                    f"expected states for a batch of {sequences.shape[0]}. Received: {tuple(state.shape)}. {reason}"
                )

    def inner_loop(
        self, sequences: Any, initial_state: list[Any], mask: Any, training: Any = False
    ) -> tuple[Any, Any, list[Any]]:
        """(last output, all outputs in the order of the steps, last states), step by step."""
        length, states = sequences.shape[1], initial_state
        times = list(range(length))[:: -1 if self.go_backwards else 1]
        before, found = None, []
        # While shapes are inferred, free lengths are huge; one step says all.
        for time in times[:1] if inferring() else times:
            output, following = step(self.cell, sequences[:, time], states, training)
            if mask is not None:
                kept = mask[:, time]
                following = tree.map_structure(partial(_choose, kept), following, states)
                if self.zero_output_for_mask:
                    before = ops.zeros_like(output)
                elif before is None:
                    before = self._before(states, output)
                output = before = _choose(kept, output, before)
            states = following
            found.append(output)
        if not found:
            raise ValueError(f"expected sequences of at least one step. Received: shape {tuple(sequences.shape)}")
        outputs = ops.stack(found, axis=1) if self.return_sequences else None
        if outputs is not None and len(found) != length:
            outputs = ops.broadcast_to(outputs, (outputs.shape[0], length, *outputs.shape[2:]))
        return found[-1], outputs, states

    def _before(self, states: list[Any], output: Any) -> Any:
        """What masked steps at the beginning give: the (highest) cell's first state."""
        state = tree.flatten(states[-1])[0] if tree.is_nested(states[-1]) else states[0]
        return state if state.shape == output.shape else ops.zeros_like(output)

    def _forget_masks(self) -> None:
        for layer in self._flatten_layers(include_self=False):
            if isinstance(layer, RecurrentCell):
                layer.reset_dropout_mask()
                layer.reset_recurrent_dropout_mask()

    # Configuration ---------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        options = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
        config = {**super().get_config(), **{name: getattr(self, name) for name in options}}
        return {**config, "cell": serialize(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        config = dict(config)
        return cls(deserialize(config.pop("cell"), custom_objects), **config)


def _choose(kept: Any, new: Any, old: Any) -> Any:
    """`new` in the rows that are kept, `old` in the others."""
    mask = ops.cast(kept, "bool")
    if mask.ndim < new.ndim:
        mask = ops.expand_dims(mask, list(range(mask.ndim, new.ndim)))
    return ops.where(mask, new, old)
