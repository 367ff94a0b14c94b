"""Filled: a tensor of one number as long as the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.dtypes import as_dtype
from engine.layers.layer import Layer
from engine.registry import registered


@registered("beagle.layers")
class Filled(Layer):
    """One number everywhere, whatever the inputs are: they only say how many examples there are.

    Args:
        lengths: of the output; None where it is as long as the batch.
        number: what it is filled with.
        fill_dtype: of the output.
    """

    _config_attributes = ("lengths", "number", "fill_dtype")

    def __init__(
        self, lengths: Sequence[int | None], number: float = 0.0, fill_dtype: str = "float32", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.lengths, self.number, self.fill_dtype = list(lengths), number, as_dtype(fill_dtype).name
        self.built = True

    def call(self, inputs: Any) -> Any:
        batch = inputs.shape[0]
        return ops.full([batch if length is None else length for length in self.lengths], self.number, self.fill_dtype)
