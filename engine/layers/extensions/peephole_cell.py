"""PeepholeLSTMCell: a long short-term memory whose gates see the cell's state."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.recurrent_cells import LSTMCell
from engine.registry import registered


@registered("beagle.layers")
class PeepholeLSTMCell(LSTMCell):
    """One step of an LSTM with peepholes.

    The input and forget gates see the cell's state before the step, the output gate the one after it, each entry
    through a weight of its own. Source: Gers and Schmidhuber, "Recurrent nets that time and count" (2000).

    Args: as for `LSTM`. The weights are kernel, recurrent kernel, bias, and the peepholes (3, units) of the input, the
    forget and the output gate.
    """

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.peepholes = self.add_weight((3, self.units), initializer="zeros", name="peepholes")

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        hidden, cell_state = states
        product = self.product(self.dropped_inputs(inputs, training), self.kernel)
        product = product + self.product(self.dropped_state(hidden, training), self.recurrent_kernel)
        if self.bias is not None:
            product = product + self.bias
        gate_in, forget, candidate, gate_out = ops.split(product, 4, axis=-1)
        keep = self.recurrent_activation(forget + cell_state * self.peepholes[1])
        take = self.recurrent_activation(gate_in + cell_state * self.peepholes[0])
        following = keep * cell_state + take * self.activation(candidate)
        shown = self.recurrent_activation(gate_out + following * self.peepholes[2])
        output = shown * self.activation(following)
        return output, [output, following]
