"""ConvolutionLayer: what all convolution layers share: window, strides, padding, data format, dilation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from engine.layers.input_spec import InputSpec
from engine.layers.kernel_layer import KernelLayer
from engine.ops.windows import lengths, standard_data_format

Lengths = int | Sequence[int]


class ConvolutionLayer(KernelLayer):
    """A layer that moves a window over `rank` spatial axes.

    Args:
        kernel_size, strides, dilation_rate: one integer, or one for each spatial axis.
        padding: one of the class's.
        data_format: "channels_last" or "channels_first"; default: the global one.
        options: of `KernelLayer`.
    """

    rank: ClassVar[int]
    _paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def __init__(
        self,
        kernel_size: Lengths,
        strides: Lengths,
        padding: str,
        data_format: str | None,
        dilation_rate: Lengths,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        try:
            self.kernel_size = lengths(kernel_size, self.rank, "kernel_size")
            self.strides = lengths(strides, self.rank, "strides")
            self.dilation_rate = lengths(dilation_rate, self.rank, "dilation_rate")
            self.data_format = standard_data_format(data_format)
        except ValueError as error:
            raise ValueError(f"Layer {self.name!r}: {error}") from None
        self.padding = padding.lower() if isinstance(padding, str) else padding
        if self.padding not in self._paddings:
            expected = ", ".join(map(repr, self._paddings))
            raise ValueError(f"Layer {self.name!r}: `padding` must be one of {expected}. Received: {padding!r}")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _refuse_strided_dilation(self) -> None:
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"Layer {self.name!r}: strides above 1 cannot be combined with dilation above 1. "
                f"Received: strides={self.strides}, dilation_rate={self.dilation_rate}"
            )

    def _positive(self, name: str, value: Any) -> int:
        """An option that counts something; raises ValueError where it is no positive integer."""
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"Layer {self.name!r}: `{name}` must be a positive integer. Received: {value!r}")
        return value

    def _channels_of(self, input_shape: Any) -> int:
        """The number of input channels, which from now on is fixed."""
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(f"Layer {self.name!r} needs a known channel axis. Received: input shape {input_shape}")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        return int(channels)
