"""LSTM, GRU and SimpleRNN: cells that go through time, whole sequences at once where an operation for that exists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from engine import activations, ops
from engine.layers.input_spec import InputSpec
from engine.layers.recurrent import RNN
from engine.layers.recurrent_cells import GRUCell, LSTMCell, RecurrentCell, SimpleRNNCell
from engine.naming import to_snake_case
from engine.ops.recurrent import gru, lstm, simple_rnn
from engine.registry import registered


class CellNetwork(RNN):
    """A recurrent layer with a cell of its own.

    Args:
        cell_options: of the cell, by name.
        use_cudnn: taken for compatibility.
        options: of `RNN`, and `implementation` of the cell.
    """

    _cell_class: ClassVar[type[RecurrentCell]]
    _unwritten: ClassVar[tuple[str, ...]] = ()  # options that Keras leaves out of the config

    def __init__(self, cell_options: dict[str, Any], use_cudnn: Any = "auto", **options: Any) -> None:
        options.pop("implementation", None)
        shared = {"dtype": options.get("dtype"), "trainable": options.get("trainable", True)}
        name = to_snake_case(self._cell_class.__name__)
        super().__init__(self._cell_class(**cell_options, **shared, name=name), **options)
        self.use_cudnn = use_cudnn
        self.input_spec = InputSpec(ndim=3)

    def __getattr__(self, name: str) -> Any:
        # The cell's options are the layer's too.
        if name in (self._cell_class._config_attributes or ()) and "cell" in vars(self):
            return getattr(self.cell, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def inner_loop(
        self, sequences: Any, initial_state: list[Any], mask: Any, training: Any = False
    ) -> tuple[Any, Any, list[Any]]:
        cell = self.cell
        usual = mask is None and not (training and cell.recurrent_dropout)
        if not usual or not self._has_whole():
            return super().inner_loop(sequences, initial_state, mask, training)
        if training and 0 < cell.dropout < 1:
            sequences = sequences * ops.expand_dims(cell.get_dropout_mask(sequences[:, 0]), 1)
        outputs, *states = self._whole(sequences, initial_state)
        if self.go_backwards and self.return_sequences:
            outputs = ops.flip(outputs, axis=1)
        return states[0], outputs, states

    def _has_whole(self) -> bool:
        """Whether there is an operation for whole sequences with the cell's activations."""
        return self.cell.activation is activations.tanh and self.cell.recurrent_activation is activations.sigmoid

    def _whole(self, sequences: Any, states: list[Any]) -> tuple[Any, ...]:
        """(outputs in the order of the inputs, last states…)."""
        raise NotImplementedError(f"{type(self).__name__} must define `_whole()`.")

    def get_config(self) -> dict[str, Any]:
        config, inner = super().get_config(), self.cell.get_config()
        del config["cell"]
        config["activity_regularizer"] = config.get("activity_regularizer")
        ours = (key for key in self._cell_class._config_attributes or () if key not in self._unwritten)
        return {**config, **{key: inner[key] for key in ours}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        return cls(**config)


def split_options(
    arguments: dict[str, Any], kinds: Sequence[type[RecurrentCell]] = (SimpleRNNCell, GRUCell, LSTMCell)
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A constructor's arguments: those of the cell, of one of `kinds`, and those of the layer."""
    names = {name for kind in kinds for name in kind._config_attributes or ()}
    given = {key: value for key, value in arguments.items() if key not in ("self", "kwargs", "__class__")}
    cell = {key: value for key, value in given.items() if key in names}
    return cell, {key: value for key, value in given.items() if key not in cell} | arguments["kwargs"]


@registered("keras.layers")
class SimpleRNN(CellNetwork):
    """A fully connected recurrent network: activation(inputs · kernel + output before · recurrent kernel + bias).

    Args:
        units: the length of the outputs.
        activation: a name, a function or a layer. With "tanh" or "relu", without a mask and without recurrent dropout
            whole sequences run at once; otherwise step by step.
        use_bias: whether there is a bias.
        kernel_…, recurrent_…, bias_…: first values, penalties and constraints of the weights.
        activity_regularizer: a penalty on the outputs.
        dropout, recurrent_dropout: the share of inputs, and of entries of the state, set to 0 while training; the same
            in every step.
        return_sequences, return_state, go_backwards, stateful, unroll: as for `RNN`.
        seed: an integer, or None: drawn from the global seed.
    """

    _cell_class = SimpleRNNCell
    _unwritten = ("seed",)

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        cell_options, options = split_options(locals())
        super().__init__(cell_options, **options)

    def _has_whole(self) -> bool:
        return self.cell.activation in (activations.tanh, activations.relu)

    def _whole(self, sequences: Any, states: list[Any]) -> tuple[Any, ...]:
        cell = self.cell
        name = "relu" if cell.activation is activations.relu else "tanh"
        return simple_rnn(sequences, states[0], cell.kernel, cell.recurrent_kernel, cell.bias, name, self.go_backwards)


@registered("keras.layers")
class GRU(CellNetwork):
    """A gated recurrent unit (Cho et al. 2014).

    Args:
        units: the length of the outputs.
        activation, recurrent_activation: of the candidate, and of the gates. With "tanh" and "sigmoid", without a mask
            and without recurrent dropout whole sequences run at once; otherwise step by step.
        use_bias, kernel_…, recurrent_…, bias_…, activity_regularizer, dropout, recurrent_dropout, seed: as for
            `SimpleRNN`.
        return_sequences, return_state, go_backwards, stateful, unroll: as for `RNN`.
        reset_after: the reset gate multiplies the state's product with its kernel, which then has a bias of its own;
            otherwise it multiplies the state.
        use_cudnn: taken for compatibility.
    """

    _cell_class = GRUCell

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        cell_options, options = split_options(locals())
        super().__init__(cell_options, **options)

    def _whole(self, sequences: Any, states: list[Any]) -> tuple[Any, ...]:
        cell = self.cell
        return gru(
            sequences, states[0], cell.kernel, cell.recurrent_kernel, cell.bias, cell.reset_after, self.go_backwards
        )


@registered("keras.layers")
class LSTM(CellNetwork):
    """A long short-term memory (Hochreiter and Schmidhuber 1997).

    Args:
        units: the length of the outputs.
        activation, recurrent_activation, use_bias, kernel_…, recurrent_…, bias_…, activity_regularizer, dropout,
            recurrent_dropout, seed: as for `GRU`.
        unit_forget_bias: the forget gate's bias begins with ones.
        return_sequences, return_state, go_backwards, stateful, unroll: as for `RNN`.
        use_cudnn: taken for compatibility.
    """

    _cell_class = LSTMCell

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        cell_options, options = split_options(locals())
        super().__init__(cell_options, **options)

    def _whole(self, sequences: Any, states: list[Any]) -> tuple[Any, ...]:
        cell = self.cell
        return lstm(sequences, states, cell.kernel, cell.recurrent_kernel, cell.bias, self.go_backwards)
