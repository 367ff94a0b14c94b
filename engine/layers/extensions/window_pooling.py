"""WindowPooling: pooling of windows that begin outside the input by any number of entries, or have gaps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from engine import ops
from engine.dtypes import is_float
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.ops.windows import lengths, padding_pairs
from engine.primitives.windows import output_lengths
from engine.registry import registered

_FUNCTIONS = {"max": ops.max_pool, "average": ops.average_pool}


@registered("beagle.layers")
class WindowPooling(Layer):
    """The maximum or mean of windows over the spatial axes of (batch, *spatial, channels).

    Keras's pooling layers know no padding but "valid" and "same", and no dilation.

    Args:
        function: "max", or "average".
        pool_size: the window, one integer for each spatial axis.
        strides: as many.
        padding: a pair (before, after) for each spatial axis; what is padded never counts.
        dilation_rate: the steps between the entries of a window, one integer for each spatial axis; None: 1.
    """

    _config_attributes = ("function", "pool_size", "strides", "padding", "dilation_rate")

    def __init__(
        self,
        function: str,
        pool_size: Sequence[int],
        strides: Sequence[int],
        padding: Sequence[Sequence[int]],
        dilation_rate: Sequence[int] | None = None,
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
            rates = (1,) * rank if dilation_rate is None else tuple(dilation_rate)
            self.dilation_rate = lengths(rates, rank, "dilation_rate")
        except ValueError as error:
            raise ValueError(f"Layer {self.name!r}: {error}") from None
        self.input_spec = InputSpec(ndim=rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        if max(self.dilation_rate) > 1:
            return self._with_gaps(inputs)
        return _FUNCTIONS[self.function](inputs, self.pool_size, self.strides, self.padding, "channels_last")

    def _with_gaps(self, inputs: Any) -> Any:
        """The windows entry by entry: what lies at one place of all windows is a slice with strides."""
        if self.function == "max":
            dtype = inputs.dtype
            least = -np.inf if is_float(dtype) else np.iinfo(dtype).min
            return reduce(ops.maximum, self._entries(inputs, float(least) if is_float(dtype) else int(least)))
        counts = reduce(ops.add, self._entries(ops.ones_like(inputs[:1, ..., :1]), 0.0))
        return ops.divide(reduce(ops.add, self._entries(inputs, 0.0)), ops.maximum(counts, 1.0))

    def _entries(self, inputs: Any, outside: float) -> list[Any]:
        padded = ops.pad(inputs, [(0, 0), *self.padding, (0, 0)], constant_values=outside)
        counts = output_lengths(
            tuple(inputs.shape[1:-1]), self.pool_size, self.strides, self.padding, self.dilation_rate
        )
        found = []
        for place in itertools.product(*(range(size) for size in self.pool_size)):
            starts = [index * rate for index, rate in zip(place, self.dilation_rate, strict=True)]
            spatial = [
                slice(start, start + (count - 1) * stride + 1, stride)
                for start, count, stride in zip(starts, counts, self.strides, strict=True)
            ]
            found.append(ops.get_item(padded, (slice(None), *spatial, slice(None))))
        return found
