"""Dropout in its forms, noise, and penalties on activations. Random layers act only while training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from engine import ops, random
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.ops.windows import standard_data_format
from engine.random import SeedGenerator
from engine.registry import registered
from engine.regularizers import L1L2

# What `selu` gives for -∞: -scale · alpha.
_SELU_LOWEST = -1.0507009873554805 * 1.6732632423543772


class _Random(Layer):
    """A layer that draws: it has a seed generator of its own.

    Args:
        seed: an integer, or None: drawn from the global seed.
    """

    def __init__(self, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def _share(self, name: str, value: Any) -> float:
        """A rate, checked."""
        if not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ValueError(f"Layer {self.name!r}: `{name}` must be a number from 0 to 1. Received: {value!r}")
        return value


@registered("keras.layers")
class Dropout(_Random):
    """Sets entries to 0 with probability `rate` while training, and divides the others by 1 - rate.

    Args:
        rate: from 0 to 1.
        noise_shape: lengths 1 where entries along an axis share their fate; None stands for the input's length.
        seed: an integer, or None: drawn from the global seed.
    """

    _config_attributes: ClassVar[tuple[str, ...]] = ("rate", "seed", "noise_shape")

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate = self._share("rate", rate)
        if noise_shape is not None:
            noise_shape = tuple(noise_shape)
            if any(length is not None and (not isinstance(length, int) or length < 1) for length in noise_shape):
                raise ValueError(
                    f"Layer {self.name!r}: `noise_shape` holds positive integers and None. Received: {noise_shape}"
                )
        self.noise_shape = noise_shape

    def _noise_shape(self, inputs: Any) -> Any:
        return self.noise_shape

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, self._noise_shape(inputs), self.seed_generator)


class _SpatialDropout(Dropout):
    """Dropout of whole channels."""

    rank: ClassVar[int]
    _config_attributes: ClassVar[tuple[str, ...]] = ("rate", "seed", "data_format")

    def __init__(
        self, rate: float, data_format: str | None = None, seed: Any = None, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed=seed, name=name, **kwargs)
        self.data_format = standard_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def get_config(self) -> dict[str, Any]:
        # Keras writes these without `trainable`, and the dtype by its name.
        config = {key: value for key, value in super().get_config().items() if key != "trainable"}
        return {**config, "dtype": self.dtype}

    def _noise_shape(self, inputs: Any) -> Any:
        if self.data_format == "channels_first":
            return (None, None, *(1,) * self.rank)
        return (None, *(1,) * self.rank, None)


@registered("keras.layers")
class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of (batch, steps, channels). Args: `rate` and `seed` as for `Dropout`."""

    rank = 1
    _config_attributes = ("rate", "seed")

    def __init__(self, rate: float, seed: Any = None, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(rate, "channels_last", seed, name, **kwargs)


@registered("keras.layers")
class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of (batch, rows, columns, channels), or channels first.

    Args:
        rate, seed: as for `Dropout`.
        data_format: "channels_last" or "channels_first"; default: the global one.
    """

    rank = 2


@registered("keras.layers")
class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole channels over three spatial axes. Args: as for `SpatialDropout2D`."""

    rank = 3


@registered("keras.layers")
class GaussianNoise(_Random):
    """Adds normal noise of a standard deviation while training.

    Args:
        stddev: from 0 on.
        seed: an integer, or None: drawn from the global seed.
    """

    _config_attributes = ("stddev", "seed")

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if not isinstance(stddev, (int, float)) or stddev < 0:
            raise ValueError(f"Layer {self.name!r}: `stddev` must be a number from 0 on. Received: {stddev!r}")
        self.stddev = stddev

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        noise = random.normal(inputs.shape, 0.0, self.stddev, self.compute_dtype, self.seed_generator)
        return inputs + noise


@registered("keras.layers")
class GaussianDropout(_Random):
    """Multiplies by normal noise around 1 while training, as strong as dropout of a rate.

    Args:
        rate: from 0 to 1; the standard deviation is √(rate / (1 - rate)).
        seed: an integer, or None: drawn from the global seed.
    """

    _config_attributes = ("rate", "seed")

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = self._share("rate", rate)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        deviation = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * random.normal(inputs.shape, 1.0, deviation, self.compute_dtype, self.seed_generator)


@registered("keras.layers")
class AlphaDropout(Dropout):
    """Dropout that keeps mean and variance of inputs normalised by `selu` (Klambauer et al., 2017).

    Args:
        rate: from 0 to 1: the probability that an entry is set to selu's lowest value.
        noise_shape: lengths 1 where entries along an axis share their fate; None stands for the input's length.
        seed: an integer, or None: drawn from the global seed.
    """

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        wanted = self.noise_shape or (None,) * inputs.ndim
        shape = tuple(own if length is None else length for length, own in zip(wanted, inputs.shape, strict=True))
        # A cut-off at the rate: 0 where an entry is dropped, 1 where it stays.
        drawn = random.uniform(shape, 0.0, 1.0, "float32", self.seed_generator)
        kept = ops.cast(ops.greater_equal(drawn, self.rate), inputs.dtype)
        spread = 1.0 / math.sqrt((1.0 - self.rate) * (1.0 + self.rate * _SELU_LOWEST**2)) if self.rate < 1 else 0.0
        return (inputs * kept + (1.0 - kept) * _SELU_LOWEST) * spread - spread * _SELU_LOWEST * self.rate


@registered("keras.layers")
class ActivityRegularization(Layer):
    """Passes its inputs on and adds l1 · Σ|x| + l2 · Σx² to the losses.

    Args:
        l1, l2: numbers from 0 on.
    """

    _config_attributes = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1, self.l2 = l1, l2
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer")  # l1 and l2 say it
        return config
