"""Convolutions over one, two and three spatial axes, plain and depthwise."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.convolution_layer import ConvolutionLayer, Lengths
from engine.layers.kernel_layer import kernel_attributes
from engine.registry import registered


class _Conv(ConvolutionLayer):
    """Convolution by `filters` kernels, whose options are those of `keras.layers.Conv2D`."""

    _config_attributes = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "groups",
        *kernel_attributes("kernel"),
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
        groups: int = 1,
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
        self.filters, self.groups = self._positive("filters", filters), self._positive("groups", groups)
        if filters % groups:
            raise ValueError(
                f"Layer {self.name!r}: `filters` must be a multiple of `groups`. Received: {filters} and {groups}"
            )

    def build(self, input_shape: Any) -> None:
        channels = self._channels_of(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"Layer {self.name!r}: the number of input channels must be a multiple of groups={self.groups}. "
                f"Received: {channels} (input shape {input_shape})"
            )
        self.kernel = self._add_kernel((*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self._add_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        outputs = ops.conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
            bias=self.bias,
        )
        return self.activation(outputs)


@registered("keras.layers", "Convolution1D")
class Conv1D(_Conv):
    """Convolution over one spatial axis: (batch, steps, channels). `padding` may be "causal".

    Args: as for `Conv2D`, with single integers.
    """

    rank = 1
    _paddings = ("valid", "same", "causal")


@registered("keras.layers", "Convolution2D")
class Conv2D(_Conv):
    """Convolution over two spatial axes: (batch, rows, columns, channels).

    Args:
        filters: the number of output channels.
        kernel_size: the window: one integer or two.
        strides: one integer or two; default 1.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first"; default: the global one.
        dilation_rate: one integer or two; above 1 it excludes strides above 1.
        groups: channels are convolved in so many separate groups.
        activation: a name, a function or a layer; default: linear.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: first values.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties.
        kernel_constraint, bias_constraint: applied after updates.
    """

    rank = 2


@registered("keras.layers", "Convolution3D")
class Conv3D(_Conv):
    """Convolution over three spatial axes: (batch, depth, rows, columns, channels).

    Args: as for `Conv2D`, with one integer or three.
    """

    rank = 3


class _DepthwiseConv(ConvolutionLayer):
    """Convolution of each channel by kernels of its own."""

    _prefix = "depthwise"
    _config_attributes = (
        "depth_multiplier",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        *kernel_attributes("depthwise"),
        "activity_regularizer",
    )

    def __init__(
        self,
        kernel_size: Lengths,
        strides: Lengths = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Lengths = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("groups", None)  # Keras 2 wrote it
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
        self.depth_multiplier = self._positive("depth_multiplier", depth_multiplier)

    def build(self, input_shape: Any) -> None:
        channels = self._channels_of(input_shape)
        self.kernel = self._add_kernel((*self.kernel_size, channels, self.depth_multiplier))
        self.bias = self._add_bias(channels * self.depth_multiplier)

    def call(self, inputs: Any) -> Any:
        outputs = ops.depthwise_conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
            bias=self.bias,
        )
        return self.activation(outputs)


@registered("keras.layers")
class DepthwiseConv1D(_DepthwiseConv):
    """Depthwise convolution over one spatial axis. Args: as for `DepthwiseConv2D`."""

    rank = 1


@registered("keras.layers")
class DepthwiseConv2D(_DepthwiseConv):
    """Depthwise convolution over two spatial axes.

    Args:
        kernel_size, strides, padding, data_format, dilation_rate: as for `Conv2D`.
        depth_multiplier: the number of kernels for each channel.
        activation, use_bias and the options of kernel ("depthwise_…") and bias: as for `Conv2D`.
    """

    rank = 2
