"""Recurrent cells: one step of a recurrent network as a layer, on (inputs, states)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from engine import activations, constraints, initializers, ops, random, regularizers
from engine.layers.layer import Layer
from engine.ops.recurrent import gru_biases, gru_step, lstm_step
from engine.random import SeedGenerator
from engine.registry import registered
from engine.variable import Variable

_WEIGHT_OPTIONS = tuple(
    f"{weight}_{part}"
    for part in ("initializer", "regularizer", "constraint")
    for weight in ("kernel", "recurrent", "bias")
)


class RecurrentCell(Layer):
    """What the cells here share: a kernel, a recurrent kernel and a bias of several gates, and dropout.

    The masks of dropout stay the same from step to step: `RNN` draws them anew for each call.

    Args:
        units: the length of the states.
        activation: a name, a function or a layer.
        use_bias: whether there is a bias.
        weights: initializers, regularizers and constraints by their Keras names, as "recurrent_initializer".
        dropout, recurrent_dropout: the share of inputs, and of entries of the state, set to 0 while training.
        seed: an integer, or None: drawn from the global seed.
        options: of `Layer`.
    """

    gates: ClassVar[int]
    _mask_for_each_gate: ClassVar[bool] = False  # of the inputs, also without recurrent dropout

    def __init__(
        self,
        units: int,
        activation: Any,
        use_bias: bool,
        weights: dict[str, Any],
        dropout: float,
        recurrent_dropout: float,
        seed: Any,
        **options: Any,
    ) -> None:
        options.pop("implementation", None)  # how Keras computes
        super().__init__(**options)
        if not isinstance(units, int) or units <= 0:
            raise ValueError(f"Layer {self.name!r}: `units` must be a positive integer. Received: {units!r}")
        self.units = self.state_size = self.output_size = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        kinds = {"initializer": initializers.get, "regularizer": regularizers.get, "constraint": constraints.get}
        for name, value in weights.items():
            setattr(self, name, kinds[name.rpartition("_")[2]](value))
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.bias: Variable | None = None
        self._drawn: dict[str, list[Any]] = {}

    def build(self, input_shape: Any) -> None:
        features = input_shape[-1]
        if features is None:
            raise ValueError(f"Layer {self.name!r} needs a known last axis. Received: input shape {input_shape}")
        self.kernel = self._add("kernel", (features, self.gates * self.units))
        self.recurrent_kernel = self._add("recurrent", (self.units, self.gates * self.units), "recurrent_kernel")
        if self.use_bias:
            self.bias = self._add("bias", self._bias_shape(), initializer=self._bias_initializer())

    def _add(self, prefix: str, shape: Sequence[int], name: str | None = None, initializer: Any = None) -> Variable:
        return self.add_weight(
            shape,
            name=name or prefix,
            initializer=initializer or getattr(self, f"{prefix}_initializer"),
            regularizer=getattr(self, f"{prefix}_regularizer"),
            constraint=getattr(self, f"{prefix}_constraint"),
        )

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _bias_initializer(self) -> Any:
        return self.bias_initializer  # type: ignore[attr-defined]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros (batch_size, units), for each state."""
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)]

    # Dropout ---------------------------------------------------------------------------------------------------------

    def get_dropout_mask(self, step_input: Any) -> Any:
        """The mask for inputs of a step: 0 or 1 / (1 - dropout); with recurrent dropout too, one for each gate."""
        return self._mask("inputs", step_input, self.dropout)

    def get_recurrent_dropout_mask(self, step_input: Any) -> Any:
        """The mask for the state: 0 or 1 / (1 - recurrent_dropout); one for each gate."""
        return self._mask("state", step_input, self.recurrent_dropout)

    def reset_dropout_mask(self) -> None:
        """The next step draws a new mask for inputs."""
        self._drawn.pop("inputs", None)

    def reset_recurrent_dropout_mask(self) -> None:
        """The next step draws a new mask for the state."""
        self._drawn.pop("state", None)

    def _mask(self, what: str, value: Any, rate: float) -> Any:
        if not rate:
            return None
        if what not in self._drawn:
            ones = ops.ones_like(value)
            count = self.gates if self.recurrent_dropout or self._mask_for_each_gate else 1  # as in Keras
            self._drawn[what] = [random.dropout(ones, rate, seed=self.seed_generator) for _ in range(count)]
        drawn = self._drawn[what]
        return drawn if len(drawn) > 1 else drawn[0]

    def dropped_inputs(self, inputs: Any, training: Any) -> Any:
        """The inputs of a step, or a list of what each gate sees of them."""
        return _times(inputs, self.get_dropout_mask(inputs) if training and self.dropout < 1 else None)

    def dropped_state(self, state: Any, training: Any) -> Any:
        """The state as the products see it, or a list of what each gate sees of it."""
        usable = training and self.recurrent_dropout < 1
        return _times(state, self.get_recurrent_dropout_mask(state) if usable else None)

    def product(self, seen: Any, kernel: Any) -> Any:
        """The product with a kernel of all gates, where each gate may see something else."""
        if not isinstance(seen, list):
            return ops.matmul(seen, kernel)
        kernels = ops.split(kernel, self.gates, axis=1)
        return ops.concatenate([ops.matmul(x, part) for x, part in zip(seen, kernels, strict=True)], axis=-1)

    # Configuration ---------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("activation", "recurrent_activation"):
            if name in config:
                config[name] = activations.serialize(getattr(self, name))
        return config


def _times(value: Any, mask: Any) -> Any:
    if mask is None:
        return value
    return [value * item for item in mask] if isinstance(mask, list) else value * mask


_COMMON = ("units", "activation", "use_bias", *_WEIGHT_OPTIONS, "dropout", "recurrent_dropout", "seed")


@registered("keras.layers")
class SimpleRNNCell(RecurrentCell):
    """activation(inputs · kernel + state · recurrent kernel + bias): the output, and the next state.

    Args: as for `SimpleRNN`.
    """

    gates = 1
    _config_attributes = _COMMON

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        weights = {name: given[name] for name in _WEIGHT_OPTIONS}
        super().__init__(units, activation, use_bias, weights, dropout, recurrent_dropout, seed, **kwargs)

    def call(self, sequence: Any, states: Any, training: bool = False) -> Any:
        state = _first(states)
        product = self.product(self.dropped_inputs(sequence, training), self.kernel)
        product = product + self.product(self.dropped_state(state, training), self.recurrent_kernel)
        if self.bias is not None:
            product = product + self.bias
        output = self.activation(product)
        return output, _like(states, output)


@registered("keras.layers")
class GRUCell(RecurrentCell):
    """One step of a gated recurrent unit.

    Args: as for `GRU`.
    """

    gates = 3
    _config_attributes = (*_COMMON, "recurrent_activation", "reset_after")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        weights = {name: given[name] for name in _WEIGHT_OPTIONS}
        super().__init__(units, activation, use_bias, weights, dropout, recurrent_dropout, seed, **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        state = _first(states)
        biases = gru_biases(self.bias, self.kernel, self.reset_after)
        projected = self.product(self.dropped_inputs(inputs, training), self.kernel) + biases[: 3 * self.units]
        remembered = self.dropped_state(state, training)
        remembered = remembered if isinstance(remembered, list) else [remembered] * 3
        output = gru_step(
            projected,
            [state, *remembered],
            ops.convert_to_tensor(self.recurrent_kernel),
            biases[3 * self.units :] if self.reset_after else None,
            self.reset_after,
            self.activation,
            self.recurrent_activation,
        )
        return output, _like(states, output)


@registered("keras.layers")
class LSTMCell(RecurrentCell):
    """One step of a long short-term memory.

    Args: as for `LSTM`.
    """

    gates = 4
    _config_attributes = (*_COMMON, "recurrent_activation", "unit_forget_bias")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        weights = {name: given[name] for name in _WEIGHT_OPTIONS}
        super().__init__(units, activation, use_bias, weights, dropout, recurrent_dropout, seed, **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [units, units]  # type: ignore[assignment]

    def _bias_initializer(self) -> Any:
        chosen = super()._bias_initializer()
        if not self.unit_forget_bias:
            return chosen

        def ones_for_forget(shape: Sequence[int], dtype: Any = None) -> Any:
            units = self.units
            forget = initializers.get("ones")((units,), dtype=dtype)
            parts = [chosen((units,), dtype=dtype), forget, chosen((2 * units,), dtype=dtype)]
            return ops.concatenate(parts, axis=0)

        return ones_for_forget

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros (batch_size, units) for the hidden state and for the cell state."""
        return super().get_initial_state(batch_size) * 2

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        hidden, cell_state = states
        product = self.product(self.dropped_inputs(inputs, training), self.kernel)
        product = product + self.product(self.dropped_state(hidden, training), self.recurrent_kernel)
        if self.bias is not None:
            product = product + self.bias
        output, cell_state = lstm_step(product, cell_state, self.activation, self.recurrent_activation)
        return output, [output, cell_state]


def _first(states: Any) -> Any:
    return states[0] if isinstance(states, (list, tuple)) else states


def _like(states: Any, state: Any) -> Any:
    return [state] if isinstance(states, (list, tuple)) else state
