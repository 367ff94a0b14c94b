"""Transposed convolutions: the gradients of convolutions as layers, which make images larger."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.convolution_layer import ConvolutionLayer, Lengths
from engine.layers.kernel_layer import kernel_attributes
from engine.ops.windows import lengths
from engine.registry import registered


class _ConvTranspose(ConvolutionLayer):
    """A transposed convolution, whose options are those of `keras.layers.Conv2DTranspose`."""

    _config_attributes = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "output_padding",
        "data_format",
        "dilation_rate",
        *kernel_attributes("kernel"),
        "activity_regularizer",
    )

    def __init__(
        self,
        filters: int,
        kernel_size: Lengths,
        strides: Lengths = 1,
        padding: str = "valid",
        output_padding: Lengths | None = None,
        data_format: str | None = None,
        dilation_rate: Lengths = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            bias_constraint=bias_constraint,
            activity_regularizer=activity_regularizer,
            kernel_options=(kernel_initializer, kernel_regularizer, kernel_constraint),
            **kwargs,
        )
        self._refuse_strided_dilation()
        self.filters = self._positive("filters", filters)
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            try:
                self.output_padding = lengths(output_padding, self.rank, "output_padding", at_least=0)
            except ValueError as error:
                raise ValueError(f"Layer {self.name!r}: {error}") from None
            if any(extra >= stride for extra, stride in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"Layer {self.name!r}: `output_padding` must be less than the strides {self.strides}. "
                    f"Received: {output_padding!r}"
                )

    def build(self, input_shape: Any) -> None:
        self.kernel = self._add_kernel((*self.kernel_size, self.filters, self._channels_of(input_shape)))
        self.bias = self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        outputs = ops.conv_transpose(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
            bias=self.bias,
        )
        return self.activation(outputs)


@registered("keras.layers", "Convolution1DTranspose")
class Conv1DTranspose(_ConvTranspose):
    """Transposed convolution over one spatial axis: (batch, steps, channels). Args: as for `Conv2DTranspose`."""

    rank = 1


@registered("keras.layers", "Convolution2DTranspose")
class Conv2DTranspose(_ConvTranspose):
    """Transposed convolution over two spatial axes: (batch, rows, columns, channels).

    An axis of length n becomes (n - 1) · stride + window - cut + output_padding, where the window counts its gaps, and
    "same" padding cuts twice half the window, rounded down, and "valid" nothing. Without `output_padding`, "same"
    gives n · stride and "valid" n · stride + max(window - stride, 0).

    Args:
        filters: the number of output channels.
        kernel_size, strides, padding, data_format: as for `Conv2D`.
        output_padding: one integer or two, less than the strides; default: as above.
        dilation_rate: one integer or two; above 1 it excludes strides above 1.
        activation, use_bias and the options of kernel and bias: as for `Conv2D`. The kernel's shape is
            (*kernel_size, filters, channels).
    """

    rank = 2


@registered("keras.layers", "Convolution3DTranspose")
class Conv3DTranspose(_ConvTranspose):
    """Transposed convolution over three spatial axes: (batch, depth, rows, columns, channels).

    Args: as for `Conv2DTranspose`, with one integer or three; by position `data_format` precedes `output_padding`.
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Lengths,
        strides: Lengths = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Lengths | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, padding, output_padding, data_format, *args, **kwargs)
