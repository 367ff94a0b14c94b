"""Interpolation: tensors brought to other lengths along some axes, in all the ways that ONNX's Resize knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import ops
from engine.layers.layer import Layer
from engine.ops.operation import KerasTensor
from engine.registry import registered

METHODS = ("nearest", "linear", "cubic")
COORDINATES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")

TABLE_LIMIT = 1 << 25
"""Weights, or places, that one axis may take: 4,096 entries made of 8,192."""


@registered("beagle.layers")
class Interpolation(Layer):
    """Other lengths along some axes.

    Args:
        axes: the axes, not that of the batch.
        factors: by how much each becomes longer; the new length is rounded down.
        sizes: the new lengths, where there are no factors.
        method: "nearest", "linear" or "cubic" (of Keys, with coefficient `cubic`).
        coordinates: where an output stands on the input's axis, one of `COORDINATES` (ONNX's names).
        rounding: which entry is the nearest, one of `ROUNDINGS`.
        cubic: the cubic's coefficient.
        excludes_outside: entries beyond the ends weigh nothing, in place of the outermost entries going on.
    """

    _config_attributes = (
        "axes", "factors", "sizes", "method", "coordinates", "rounding", "cubic", "excludes_outside",
    )  # fmt: skip

    def __init__(
        self,
        axes: Sequence[int],
        factors: Sequence[float] | None = None,
        sizes: Sequence[int] | None = None,
        method: str = "nearest",
        coordinates: str = "half_pixel",
        rounding: str = "round_prefer_floor",
        cubic: float = -0.75,
        excludes_outside: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, known in (
            ("method", method, METHODS),
            ("coordinates", coordinates, COORDINATES),
            ("rounding", rounding, ROUNDINGS),
        ):
            if value not in known:
                raise ValueError(
                    f"Layer {self.name!r}: `{name}` must be one of {', '.join(known)}. Received: {value!r}"
                )
        given = factors if sizes is None else sizes
        if given is None or (factors is not None and sizes is not None) or len(given) != len(axes):
            raise ValueError(
                f"Layer {self.name!r} takes a factor or a size for each axis. Received: axes {axes}, factors "
                f"{factors}, sizes {sizes}"
            )
        if any(item <= 0 for item in given) or any(axis < 1 for axis in axes):
            raise ValueError(
                f"Layer {self.name!r} takes axes from 1 on, and factors or sizes above 0. Received: {axes}, {given}"
            )
        self.axes, self.method, self.coordinates, self.rounding = list(axes), method, coordinates, rounding
        self.factors = None if factors is None else [float(factor) for factor in factors]
        self.sizes = None if sizes is None else [int(size) for size in sizes]
        self.cubic, self.excludes_outside = float(cubic), bool(excludes_outside)
        self.built = True

    def compute_output_spec(self, inputs: Any) -> Any:
        """The placeholder of the outputs, found without the tables that a call makes."""
        shape = list(inputs.shape)
        for index, axis in enumerate(self.axes):
            if self.sizes is not None:
                shape[axis] = self.sizes[index]
            elif shape[axis] is not None:
                assert self.factors is not None
                shape[axis] = math.floor(shape[axis] * self.factors[index])
        return KerasTensor(shape, self.compute_dtype if inputs.dtype.kind == "f" else inputs.dtype)

    def call(self, inputs: Any) -> Any:
        outputs = inputs
        for index, axis in enumerate(self.axes):
            length = outputs.shape[axis]
            if self.sizes is None:
                assert self.factors is not None
                factor, size = self.factors[index], math.floor(length * self.factors[index])
            else:
                factor, size = self.sizes[index] / length, self.sizes[index]
            if size * (1 if self.method == "nearest" else length) > TABLE_LIMIT:
                raise ValueError(f"interpolating {length} entries to {size} takes a table of more than {TABLE_LIMIT}.")
            places = self._places(length, size, factor)
            if self.method == "nearest":
                outputs = ops.take(outputs, self._nearest(places, length), axis=axis)
            else:
                outputs = _weighted(outputs, axis, self._weights(places, length))
        return outputs

    def _places(self, length: int, size: int, factor: float) -> NDArray[np.float64]:
        """Where the outputs stand on the input's axis, in the float32 arithmetic that others use, too: at entries and
        half-way between them the last bit decides which one is the nearest."""
        return self._float32_places(length, size, np.float32(factor)).astype(np.float64)

    def _float32_places(self, length: int, size: int, factor: np.float32) -> NDArray[np.float32]:
        outputs, half = np.arange(size, dtype=np.float32), np.float32(0.5)
        if self.coordinates == "align_corners":
            return outputs * np.float32(length - 1) / np.float32(size - 1) if size > 1 else np.zeros(1, np.float32)
        if self.coordinates == "asymmetric":
            return outputs / factor
        if self.coordinates == "pytorch_half_pixel" and size == 1:
            return np.zeros(1, np.float32)
        places = (outputs + half) / factor - half
        if self.coordinates == "half_pixel_symmetric":
            places += np.float32(length / 2) * (1 - np.float32(size) / (factor * np.float32(length)))
        return np.asarray(places, np.float32)

    def _nearest(self, places: NDArray[np.float64], length: int) -> NDArray[np.int64]:
        rounded = {
            "round_prefer_floor": lambda: np.ceil(places - 0.5),
            "round_prefer_ceil": lambda: np.floor(places + 0.5),
            "floor": lambda: np.floor(places),
            "ceil": lambda: np.ceil(places),
        }[self.rounding]()
        return np.clip(rounded, 0, length - 1).astype(np.int64)

    def _weights(self, places: NDArray[np.float64], length: int) -> NDArray[np.float32]:
        """The matrix (size, length) that makes outputs of entries."""
        first = np.floor(places).astype(np.int64)
        share = places - first
        if self.method == "linear":
            taps = [(0, 1 - share), (1, share)]
        else:
            taps = [(tap, self._cubic_weight(np.abs(share - tap))) for tap in (-1, 0, 1, 2)]
        matrix = np.zeros((len(places), length))
        for tap, weight in taps:
            entry = first + tap
            if self.excludes_outside:
                weight = np.where((entry >= 0) & (entry < length), weight, 0.0)
            np.add.at(matrix, (np.arange(len(places)), np.clip(entry, 0, length - 1)), weight)
        if self.excludes_outside:
            matrix /= matrix.sum(1, keepdims=True)
        return matrix.astype(np.float32)

    def _cubic_weight(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Keys, "Cubic convolution interpolation for digital image processing" (1981)."""
        a, d = self.cubic, distance
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _weighted(tensor: Any, axis: int, weights: NDArray[np.float32]) -> Any:
    """Sums along an axis with weights (outputs, entries)."""
    shape = tuple(tensor.shape)
    before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    rows = ops.reshape(tensor, (before, shape[axis], after))
    matrix = ops.cast(ops.convert_to_tensor(weights), tensor.dtype)
    return ops.reshape(ops.matmul(matrix, rows), (*shape[:axis], len(weights), *shape[axis + 1 :]))
