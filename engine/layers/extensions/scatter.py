"""Scatter: writes entries to places that are known only when the model runs."""

from __future__ import annotations

from typing import Any

from engine.layers.layer import Layer
from engine.primitives.scattering import REDUCTIONS, put_along_axis
from engine.registry import registered


@registered("beagle.layers")
class Scatter(Layer):
    """Of [x, indices, updates]: x with the updates at their indices along one axis (ONNX's ScatterElements).

    Args:
        axis: the axis of x that the indices count along.
        reduction: what becomes of the entry that was there: "none" replaces it; "add", "mul", "max", "min" join it
            with the update. Gradients there are for the first two.
    """

    _config_attributes = ("axis", "reduction")

    def __init__(self, axis: int, reduction: str = "none", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"Layer {self.name!r}: `reduction` must be one of {', '.join(REDUCTIONS)}. Received: {reduction!r}"
            )
        self.axis = int(axis)
        self.reduction = reduction

    def call(self, inputs: Any) -> Any:
        x, indices, updates = inputs
        return put_along_axis(x, indices, updates, axis=self.axis % len(x.shape), reduction=self.reduction)
