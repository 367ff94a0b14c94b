"""Discretization: numbers as the bins in which they lie, of boundaries given or taken from data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.dtypes import as_dtype
from engine.layers.layer import Layer
from engine.layers.preprocessing.category_encoding import MODES, check_dense, encoded, encoded_shape
from engine.ops.keras_tensor import KerasTensor
from engine.registry import registered

Array = np.ndarray[Any, Any]


@registered("keras.layers")
class Discretization(Layer):
    """The number of the bin in which each input lies: how many boundaries do not exceed it.

    Args:
        bin_boundaries: in ascending order; n of them bound n + 1 bins.
        num_bins: instead of boundaries: `adapt` finds boundaries of about equally full bins.
        epsilon: the share of data that `adapt` may misjudge a quantile by.
        output_mode: "int" (int32, default), "one_hot", "multi_hot" or "count", as for `CategoryEncoding`.
        sparse: only False is supported.
        dtype: of outputs other than integers; name: as for all layers.

    Raises:
        ValueError: both or neither of boundaries and number, or an unknown mode.
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        check_dense(self, sparse)
        if output_mode not in ("int", *MODES):
            known = ("int", *MODES)
            raise ValueError(f"Layer {self.name!r}: `output_mode` is one of {known}. Received: {output_mode!r}")
        if (num_bins is None) == (bin_boundaries is None):
            raise ValueError(
                f"Layer {self.name!r}: either `bin_boundaries` or `num_bins` must be given. "
                f"Received: {bin_boundaries} and {num_bins}"
            )
        if num_bins is not None and (not isinstance(num_bins, int) or num_bins < 0):
            raise ValueError(f"Layer {self.name!r}: `num_bins` must be an integer from 0 on. Received: {num_bins!r}")
        if not 0 < epsilon <= 1:
            raise ValueError(f"Layer {self.name!r}: `epsilon` must lie between 0 and 1. Received: {epsilon!r}")
        self.bin_boundaries = None if bin_boundaries is None else list(bin_boundaries)
        self.num_bins, self.epsilon = num_bins, epsilon
        self.output_mode, self.sparse = output_mode, sparse
        self._summary = _Summary(epsilon)

    @property
    def input_dtype(self) -> str:
        """The dtype to which inputs are cast: the default float type."""
        return as_dtype(None).name

    @property
    def output_dtype(self) -> str:
        """The dtype of the outputs."""
        return "int32" if self.output_mode == "int" else self.compute_dtype

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Finds the boundaries of `num_bins` about equally full bins.

        Args:
            data: an array, or an iterable of batches.
            steps: how many batches to take; default: all.

        Raises:
            ValueError: the layer was given its boundaries.
        """
        if self.num_bins is None:
            raise ValueError(f"Layer {self.name!r} was given its `bin_boundaries`: it cannot adapt.")
        self.reset_state()
        whole = hasattr(data, "shape") or not isinstance(data, Iterable)
        for index, batch in enumerate((data,) if whole else data):
            if steps is not None and index >= steps:
                break
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forgets the data seen."""
        self._summary = _Summary(self.epsilon)

    def update_state(self, data: Any) -> None:
        """Takes note of a batch."""
        self._summary.add(np.asarray(ops.convert_to_numpy(data), np.float32))

    def finalize_state(self) -> None:
        """Sets the boundaries from the data seen."""
        if self.num_bins is not None:
            self.bin_boundaries = self._summary.boundaries(self.num_bins)

    def _boundaries(self) -> list[float]:
        if self.bin_boundaries is None:
            raise ValueError(f"Layer {self.name!r} has no bins yet: give `bin_boundaries`, or call adapt() first.")
        return self.bin_boundaries

    def call(self, inputs: Any) -> Any:
        boundaries = self._boundaries()
        bins = ops.digitize(ops.cast(inputs, self.input_dtype), np.asarray(boundaries, self.input_dtype))
        return encoded(bins, self.output_mode, len(boundaries) + 1, self.output_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        depth = 0 if self.output_mode == "int" else len(self._boundaries()) + 1
        return encoded_shape(input_shape, self.output_mode, depth)

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return KerasTensor(self.compute_output_shape(inputs.shape), self.output_dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("bin_boundaries", "num_bins", "epsilon", "output_mode", "sparse", "name", "dtype")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Discretization:
        """The layer of a config; one that has adapted holds a number of bins and their boundaries."""
        if config.get("num_bins") is None or config.get("bin_boundaries") is None:
            return cls(**config)
        layer = cls(**{**config, "bin_boundaries": None})
        layer.bin_boundaries = list(config["bin_boundaries"])
        return layer


class _Summary:
    """What data look like in at most about 1 / epsilon points: values in order, and how many entries each stands for.

    Keras's method, so that the same data give the same boundaries.
    """

    def __init__(self, epsilon: float) -> None:
        self._epsilon = epsilon
        self._points = np.zeros((2, 0), np.float32)

    def add(self, data: Array) -> None:
        values = np.sort(data, axis=None)
        step = max(values.size * self._epsilon, 1.0)
        chosen = values[int(step - 1) :: int(step)]
        both = np.concatenate([np.stack([chosen, np.full_like(chosen, step)]), self._points], axis=1)
        self._points = _compressed(both[:, np.argsort(both[0])], self._epsilon)

    def boundaries(self, bins: int) -> list[float]:
        if not bins:
            return []
        return [float(value) for value in _compressed(self._points, 1.0 / bins)[0, :-1]]


def _compressed(points: Array, epsilon: float) -> Array:
    """The points at every `epsilon` of the whole weight, where there are more of them."""
    if points.shape[1] * epsilon < 1:
        return points
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    reached = points[1].cumsum()
    values, totals = (np.interp(shares, reached / reached[-1], row) for row in (points[0], reached))
    return np.stack([values, np.diff(totals, prepend=0.0)]).astype(np.float32)
