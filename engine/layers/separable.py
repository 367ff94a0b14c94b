"""Separable convolutions: a depthwise convolution, then one of window 1 across the channels."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.convolution_layer import ConvolutionLayer, Lengths
from engine.layers.kernel_layer import kernel_attributes
from engine.registry import registered


class _SeparableConv(ConvolutionLayer):
    """A separable convolution, whose options are those of `keras.layers.SeparableConv2D`."""

    _prefix = "depthwise"
    _config_attributes = (
        "depth_multiplier",
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        *kernel_attributes("depthwise", "pointwise"),
        "activity_regularizer",
    )

    def __init__(
        self,
        filters: int,
        kernel_size: Lengths,
        strides: Lengths = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Lengths = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
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
            kernel_options=(depthwise_initializer, depthwise_regularizer, depthwise_constraint),
            **kwargs,
        )
        self._set_kernel_options("pointwise", (pointwise_initializer, pointwise_regularizer, pointwise_constraint))
        self.filters = self._positive("filters", filters)
        self.depth_multiplier = self._positive("depth_multiplier", depth_multiplier)

    def build(self, input_shape: Any) -> None:
        channels = self._channels_of(input_shape)
        self.depthwise_kernel = self._add_kernel(
            (*self.kernel_size, channels, self.depth_multiplier), "depthwise_kernel"
        )
        self.pointwise_kernel = self._add_kernel(
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters), "pointwise_kernel", "pointwise"
        )
        self.bias = self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        outputs = ops.separable_conv(
            inputs,
            self.depthwise_kernel,
            self.pointwise_kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
            bias=self.bias,
        )
        return self.activation(outputs)


@registered("keras.layers", "SeparableConvolution1D")
class SeparableConv1D(_SeparableConv):
    """Separable convolution over one spatial axis: (batch, steps, channels). Args: as for `SeparableConv2D`."""

    rank = 1


@registered("keras.layers", "SeparableConvolution2D")
class SeparableConv2D(_SeparableConv):
    """Separable convolution over two spatial axes: (batch, rows, columns, channels).

    Args:
        filters: the number of output channels.
        kernel_size, strides, padding, data_format, dilation_rate: of the depthwise part, as for `DepthwiseConv2D`.
        depth_multiplier: the number of depthwise kernels for each channel.
        activation, use_bias and the options of both kernels ("depthwise_…", "pointwise_…") and the bias: as for
            `Conv2D`; the bias follows the pointwise part.
    """

    rank = 2
