"""ConvLSTM: long short-term memory over sequences of images, with convolutions for products (Shi et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from engine import ops
from engine.layers.input_spec import InputSpec
from engine.layers.recurrent_cells import LSTMCell
from engine.layers.recurrent_networks import CellNetwork, split_options
from engine.ops.windows import lengths, padding_pairs, standard_data_format
from engine.registry import registered

Lengths = int | Sequence[int]


class ConvLSTMCell(LSTMCell):
    """One step of a ConvLSTM, on (batch, *spatial, channels) or with channels first.

    Args:
        rank: the number of spatial axes.
        filters, kernel_size, strides, padding, data_format, dilation_rate: of the convolutions of the inputs, as for
            `Conv2D`. Those of the state keep its size.
        options: of `LSTMCell`.
    """

    _mask_for_each_gate = True
    _config_attributes: ClassVar[tuple[str, ...]] = (
        *("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate"),
        *(name for name in LSTMCell._config_attributes or () if name != "units"),
    )

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Lengths,
        strides: Lengths = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Lengths = 1,
        **options: Any,
    ) -> None:
        super().__init__(filters, **options)
        self.rank = rank
        self.filters = filters
        try:
            self.kernel_size = lengths(kernel_size, rank, "kernel_size")
            self.strides = lengths(strides, rank, "strides")
            self.dilation_rate = lengths(dilation_rate, rank, "dilation_rate")
            self.data_format = standard_data_format(data_format)
        except ValueError as error:
            raise ValueError(f"Layer {self.name!r}: {error}") from None
        self.padding = padding.lower()
        if self.padding not in ("valid", "same"):
            raise ValueError(f"Layer {self.name!r}: `padding` must be 'valid' or 'same'. Received: {padding!r}")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"Layer {self.name!r}: strides above 1 cannot be combined with dilation above 1. "
                f"Received: strides={self.strides}, dilation_rate={self.dilation_rate}"
            )

    def build(self, input_shape: Any) -> None:
        first = self.data_format == "channels_first"
        channels, spatial = (input_shape[1], input_shape[2:]) if first else (input_shape[-1], input_shape[1:-1])
        if channels is None or None in spatial:
            raise ValueError(f"Layer {self.name!r} needs known axes besides the batch. Received: {input_shape}")
        self._state_shape = self.state_shape(input_shape)[1:]
        self.kernel = self._add("kernel", (*self.kernel_size, channels, 4 * self.filters))
        self.recurrent_kernel = self._add(
            "recurrent", (*self.kernel_size, self.filters, 4 * self.filters), "recurrent_kernel"
        )
        if self.use_bias:
            self.bias = self._add("bias", (4 * self.filters,), initializer=self._bias_initializer())

    def state_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """The shape of the state, and of the output, for inputs of a shape."""
        first = self.data_format == "channels_first"
        spatial = input_shape[2:] if first else input_shape[1:-1]
        pairs = padding_pairs(self.padding, spatial, self.kernel_size, self.strides, self.dilation_rate)
        windows = zip(spatial, pairs, self.kernel_size, self.strides, self.dilation_rate, strict=True)
        sizes = [(n + sum(pair) - (size - 1) * step - 1) // stride + 1 for n, pair, size, stride, step in windows]
        return (input_shape[0], self.filters, *sizes) if first else (input_shape[0], *sizes, self.filters)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros in the shape of the output, for the hidden state and for the cell state."""
        return [ops.zeros((batch_size, *self._state_shape), dtype=self.compute_dtype)] * 2

    def _convolved(self, seen: Any, kernel: Any, of_state: bool, bias: Any = None) -> Any:
        """The convolution with the kernels of all gates, where each gate may see something else."""

        def convolve(x: Any, weights: Any, offset: Any) -> Any:
            strides, dilation = (1, 1) if of_state else (self.strides, self.dilation_rate)
            padding = "same" if of_state else self.padding
            return ops.conv(x, weights, strides, padding, self.data_format, dilation, bias=offset)

        if not isinstance(seen, list):
            return convolve(seen, kernel, bias)
        kernels = ops.split(kernel, 4, axis=self.rank + 1)
        biases = [None] * 4 if bias is None else ops.split(bias, 4)
        parts = [convolve(*operands) for operands in zip(seen, kernels, biases, strict=True)]
        return ops.concatenate(parts, axis=self._channel_axis)

    @property
    def _channel_axis(self) -> int:
        return 1 if self.data_format == "channels_first" else self.rank + 1

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        hidden, memory = states
        gates = self._convolved(self.dropped_inputs(inputs, training), self.kernel, False, self.bias)
        gates = gates + self._convolved(self.dropped_state(hidden, training), self.recurrent_kernel, True)
        enter, forget, candidate, leave = ops.split(gates, 4, axis=self._channel_axis)
        memory = self.recurrent_activation(forget) * memory
        memory = memory + self.recurrent_activation(enter) * self.activation(candidate)
        output = self.recurrent_activation(leave) * self.activation(memory)
        return output, [output, memory]


class _ConvLSTM(CellNetwork):
    """A ConvLSTM over so many spatial axes; options as `ConvLSTM2D`."""

    rank: ClassVar[int]
    _cell_class = ConvLSTMCell

    def __init__(
        self,
        filters: int,
        kernel_size: Lengths,
        strides: Lengths = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Lengths = 1,
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
        **kwargs: Any,
    ) -> None:
        cell_options, options = split_options(locals(), (ConvLSTMCell,))
        super().__init__({**cell_options, "rank": self.rank}, **options)
        self.input_spec = InputSpec(ndim=self.rank + 3)

    def _has_whole(self) -> bool:
        return False

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, time = sequences_shape[:2]
        shape = self.cell.state_shape((batch, *sequences_shape[2:]))
        output = (batch, time, *shape[1:]) if self.return_sequences else shape
        return [output, shape, shape] if self.return_state else output


@registered("keras.layers")
class ConvLSTM1D(_ConvLSTM):
    """A ConvLSTM over (batch, time, steps, channels); options as `ConvLSTM2D`."""

    rank = 1


@registered("keras.layers")
class ConvLSTM2D(_ConvLSTM):
    """A long short-term memory over (batch, time, rows, columns, channels) whose products are convolutions.

    Args:
        filters: the number of output channels.
        kernel_size: the window: one integer or two.
        strides, padding, data_format, dilation_rate: of the convolutions of the inputs, as for `Conv2D`.
        activation, recurrent_activation: names, functions or layers.
        use_bias, unit_forget_bias: whether there is a bias, and whether its forget gate begins with ones.
        kernel_…, recurrent_…, bias_…: first values, penalties and constraints of the weights.
        activity_regularizer: a penalty on the outputs.
        dropout, recurrent_dropout: the share of inputs, and of entries of the state, set to 0 while training; the same
            in every step.
        seed: an integer, or None: drawn from the global seed.
        return_sequences, return_state, go_backwards, stateful: as for `RNN`.
    """

    rank = 2


@registered("keras.layers")
class ConvLSTM3D(_ConvLSTM):
    """A ConvLSTM over (batch, time, *three spatial axes, channels); options as `ConvLSTM2D`."""

    rank = 3
