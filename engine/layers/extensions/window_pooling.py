"""WindowPooling: pooling of windows that begin outside the input by any number of entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.ops.windows import lengths, padding_pairs
from engine.registry import registered

_FUNCTIONS = {"max": ops.max_pool, "average": ops.average_pool}


@registered("beagle.layers")
class WindowPooling(Layer):
    """The maximum or mean of windows over the spatial axes of (batch, *spatial, channels).

    Keras's pooling layers know no padding but "valid" and "same".

    Args:
        function: "max", or "average".
        pool_size: the window, one integer for each spatial axis.
        strides: as many.
        padding: a pair (before, after) for each spatial axis; what is padded never counts.
    """

    _config_attributes = ("function", "pool_size", "strides", "padding")

    def __init__(
        self,
        function: str,
        pool_size: Sequence[int],
        strides: Sequence[int],
        padding: Sequence[Sequence[int]],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if function not in _FUNCTIONS:
            raise ValueError(f"Layer {self.name!r}: `function` must be 'max' or 'average'. Received: {function!r}")
        self.function = function
        rank = len(pool_size)
        try:
            self.pool_size = lengths(tuple(pool_size), rank, "pool_size")
            self.strides = lengths(tuple(strides), rank, "strides")
            self.padding = padding_pairs(tuple(padding), self.pool_size, self.pool_size, self.strides, (1,) * rank)
        except ValueError as error:
            raise ValueError(f"Layer {self.name!r}: {error}") from None
        self.input_spec = InputSpec(ndim=rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return _FUNCTIONS[self.function](inputs, self.pool_size, self.strides, self.padding, "channels_last")
