"""Expansion: repeats a tensor along axes of length 1, and keeps the lengths that are known only when a model runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.layers.layer import Layer
from engine.registry import registered


@registered("beagle.layers")
class Expansion(Layer):
    """The inputs broadcast to a shape.

    Args:
        shape: a length for each axis of the result; None keeps the inputs' own. New axes come in front.
    """

    _config_attributes = ("shape",)

    def __init__(self, shape: Sequence[int | None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def call(self, inputs: Any) -> Any:
        own = (1,) * (len(self.shape) - len(inputs.shape)) + tuple(inputs.shape)
        lengths = tuple(kept if wanted is None else wanted for kept, wanted in zip(own, self.shape, strict=True))
        return ops.broadcast_to(inputs, lengths)
