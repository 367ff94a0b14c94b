"""Normalization: features brought to mean 0 and variance 1, by statistics given or taken from data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.config import epsilon
from engine.layers.layer import Layer
from engine.registry import registered
from engine.utils.py_dataset import PyDataset

Array = np.ndarray[Any, Any]


def _batches(data: Any) -> Iterator[Array]:
    """The batches of an array, of a dataset or of an iterable of arrays or of (inputs, targets, …) tuples."""
    if isinstance(data, np.ndarray) or (hasattr(data, "shape") and hasattr(data, "dtype")):
        yield np.asarray(ops.convert_to_numpy(data))
        return
    if not isinstance(data, Iterable) and not isinstance(data, PyDataset):
        raise TypeError(
            f"adapt() expects an array, a dataset or an iterable of batches. Received: {type(data).__name__}"
        )
    items: Iterable[Any] = (data[index] for index in range(len(data))) if isinstance(data, PyDataset) else data
    for item in items:
        batch = item[0] if isinstance(item, tuple) else item
        if not hasattr(batch, "shape"):
            raise TypeError(f"adapt() expects batches that are arrays. Received: {type(batch).__name__}")
        yield np.asarray(ops.convert_to_numpy(batch))


@registered("keras.layers")
class Normalization(Layer):
    """(inputs - mean) / √variance, in the layer's dtype whatever that of the inputs.

    Args:
        axis: the axis, or axes, whose entries have a mean and a variance each; None: one for all. Default: the last.
        mean, variance: both or neither: numbers, or arrays that broadcast to the lengths of `axis`. Default: `adapt`
            finds them; until then they are 0 and 1.
        invert: computes inputs · √variance + mean instead.

    Without given statistics the layer has the variables mean, variance and count (kept for files' sake).

    Raises:
        ValueError: only one of the statistics is given, their shapes differ, or they have more axes than `axis` names.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if (mean is None) != (variance is None):
            raise ValueError(
                f"Layer {self.name!r}: `mean` and `variance` are given together or not at all. "
                f"Received: mean={mean} and variance={variance}"
            )
        if mean is not None and (np.shape(mean) != np.shape(variance) or np.ndim(mean) > len(self.axis)):
            raise ValueError(
                f"Layer {self.name!r}: `mean` and `variance` must have one shape, of at most as many axes as `axis` "
                f"names ({len(self.axis)}). Received: shapes {np.shape(mean)} and {np.shape(variance)}"
            )
        self.input_mean, self.input_variance = mean, variance
        self.invert = invert
        self.supports_masking = True
        self._kept: tuple[int, ...] = ()
        self._shape: tuple[Any, ...] = ()  # the lengths of inputs, None where free

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise ValueError(
                f"Layer {self.name!r}: `axis` must lie in [-{rank}, {rank}) for inputs of shape {tuple(input_shape)}. "
                f"Received: axis={self.axis}"
            )
        self._kept = tuple(sorted(axis % rank for axis in self.axis))
        self._shape = tuple(input_shape)
        lengths = tuple(input_shape[axis] for axis in self._kept)
        if None in lengths:
            raise ValueError(
                f"Layer {self.name!r}: the axes {self.axis} need fixed lengths. Received: inputs of {self._shape}"
            )
        if self.input_mean is None:
            options: dict[str, Any] = {"shape": lengths, "trainable": False}
            self.adapt_mean = self.add_weight(name="mean", initializer="zeros", **options)
            self.adapt_variance = self.add_weight(name="variance", initializer="ones", **options)
            self.count = self.add_weight(name="count", shape=(), dtype="int32", initializer="zeros", trainable=False)
        else:
            for given in (self.input_mean, self.input_variance):
                try:
                    np.broadcast_to(np.asarray(given), lengths)
                except ValueError:
                    raise ValueError(
                        f"Layer {self.name!r}: statistics of shape {np.shape(given)} do not broadcast to the lengths "
                        f"{lengths} of the axes {self.axis}."
                    ) from None

    def _aligned(self, given: Any, adapted: Any) -> Any:
        """A statistic in the compute dtype, with its axes where the inputs have them."""
        lengths = tuple(self._shape[axis] for axis in self._kept)
        shape = tuple(length if axis in self._kept else 1 for axis, length in enumerate(self._shape))
        if given is None:
            return ops.cast(ops.reshape(adapted, shape), self.compute_dtype)
        return ops.convert_to_tensor(np.broadcast_to(np.asarray(given), lengths).reshape(shape), self.compute_dtype)

    @property
    def mean(self) -> Any:
        """The mean, of the inputs' rank, once the layer is built."""
        return self._aligned(self.input_mean, None if self.input_mean is not None else self.adapt_mean)

    @property
    def variance(self) -> Any:
        """The variance, of the inputs' rank, once the layer is built."""
        return self._aligned(self.input_variance, None if self.input_mean is not None else self.adapt_variance)

    def adapt(self, data: Any) -> None:
        """Sets mean and variance to those of data, in one pass; builds the layer where it is not built.

        Args:
            data: an array, a `PyDataset`, or an iterable of batches or of (batch, …) tuples.

        Raises:
            ValueError: statistics were given, there is no batch, or a batch has other lengths than the layer.
            TypeError: neither an array nor an iterable of arrays.
        """
        if self.input_mean is not None:
            raise ValueError(f"Layer {self.name!r} was given its mean and variance: it cannot adapt.")
        total, mean, squares = 0, np.zeros(()), np.zeros(())
        for batch in _batches(data):
            if not self.built:
                self.build(batch.shape)
            if batch.ndim != len(self._shape) or any(batch.shape[axis] != self._shape[axis] for axis in self._kept):
                raise ValueError(
                    f"Layer {self.name!r} is built for shape {self._shape}; adapt() received shape {batch.shape}."
                )
            reduced = tuple(axis for axis in range(batch.ndim) if axis not in self._kept)
            count = math.prod(batch.shape[axis] for axis in reduced)
            if not count:
                continue
            # Chan et al. 1983: sums of squares around the mean, joined without losing digits.
            exact = batch.astype(np.float64)
            batch_mean = exact.mean(reduced)
            shift = batch_mean - mean
            total += count
            squares = squares + exact.var(reduced) * count + shift**2 * (count * (total - count) / total)
            mean = mean + shift * (count / total)
        if not total:
            raise ValueError(f"Layer {self.name!r}: adapt() received no data.")
        self.adapt_mean.assign(mean.astype(self.adapt_mean.dtype))
        self.adapt_variance.assign((squares / total).astype(self.adapt_variance.dtype))

    def call(self, inputs: Any) -> Any:
        inputs = ops.cast(inputs, self.compute_dtype)
        deviation = ops.maximum(ops.sqrt(self.variance), epsilon())
        if self.invert:
            return inputs * deviation + self.mean
        return (inputs - self.mean) / deviation

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        statistics = (np.array(value).tolist() for value in (self.input_mean, self.input_variance))
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            **dict(zip(("mean", "variance"), statistics, strict=True)),
        }
