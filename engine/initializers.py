"""Initializers: first values of variables (`keras.initializers`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import random
from engine.dtypes import as_dtype, is_float
from engine.identifiers import resolve
from engine.registry import deserialize as _deserialize
from engine.registry import registered, serialize
from engine.tensor import Tensor

_MODULE = "keras.initializers"
# The standard deviation of a normal distribution cut off at two standard deviations.
_TRUNCATED_DEVIATION = 0.87962566103423978


@registered(_MODULE)
class Initializer:
    """A function of a shape and a dtype that gives a tensor; the base class of initializers."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """A tensor of the shape; the dtype defaults to the global float type."""
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(shape, dtype=None)`.")

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def clone(self) -> Any:
        """An equal initializer."""
        return self.from_config(self.get_config())


# Constants -----------------------------------------------------------------------------------------------------------


@registered(_MODULE, "constant")
class Constant(Initializer):
    """Every entry the same.

    Args:
        value: the number, or an array that broadcasts to the shape.
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        filled = np.empty(tuple(shape), as_dtype(dtype))
        filled[...] = self.value
        return Tensor(filled)

    def get_config(self) -> dict[str, Any]:
        return {"value": serialize(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constant:
        return cls(_deserialize(config["value"]))


@registered(_MODULE, "zeros")
class Zeros(Initializer):
    """Every entry 0."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return Tensor(np.zeros(tuple(shape), as_dtype(dtype)))


@registered(_MODULE, "ones")
class Ones(Initializer):
    """Every entry 1."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return Tensor(np.ones(tuple(shape), as_dtype(dtype)))


@registered(_MODULE, "identity", "IdentityInitializer")
class Identity(Initializer):
    """The identity matrix, times a gain."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices. Received: shape={tuple(shape)}")
        return Tensor((self.gain * np.eye(shape[0], shape[1])).astype(as_dtype(dtype)))

    def get_config(self) -> dict[str, Any]:
        return {} if self.gain == 1.0 else {"gain": self.gain}  # Keras writes none


# Random --------------------------------------------------------------------------------------------------------------


class RandomInitializer(Initializer):
    """The base of initializers that draw; one object always gives the same values.

    Args:
        seed: an integer, a `SeedGenerator` (new values at each call), or None: drawn from the global seed.
    """

    def __init__(self, seed: Any = None) -> None:
        self._given_seed = seed
        if seed is None:
            seed = random.make_default_seed()
        elif isinstance(seed, dict):
            self._given_seed = seed = _deserialize(seed)
        elif not isinstance(seed, (int, np.integer, random.SeedGenerator)):
            raise ValueError(f"`seed` must be an integer, a SeedGenerator or None. Received: {seed!r}")
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": serialize(self._given_seed)}


@registered(_MODULE, "random_normal", "normal")
class RandomNormal(RandomInitializer):
    """A normal distribution."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@registered(_MODULE, "truncated_normal")
class TruncatedNormal(RandomNormal):
    """A normal distribution without what is more than two standard deviations from the mean."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


@registered(_MODULE, "random_uniform", "uniform")
class RandomUniform(RandomInitializer):
    """A uniform distribution from `minval` up to `maxval`."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


def compute_fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """How many inputs each unit has, and how many units each input reaches.

    Kernels are (*window, inputs, outputs); other layouts are told by both lists of axes.
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


@registered(_MODULE, "variance_scaling")
class VarianceScaling(RandomInitializer):
    """A distribution around 0 whose variance is `scale` divided by a number of connections.

    Args:
        scale: above 0.
        mode: "fan_in", "fan_out" or "fan_avg", their mean.
        distribution: "truncated_normal", "untruncated_normal" or "uniform".
        seed: as for all random initializers.
        input_axes, output_axes: see `compute_fans`.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        if scale <= 0:
            raise ValueError(f"`scale` must be above 0. Received: {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"`mode` must be 'fan_in', 'fan_out' or 'fan_avg'. Received: {mode!r}")
        distribution = "truncated_normal" if distribution == "normal" else distribution.lower()
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f"`distribution` must be 'truncated_normal', 'untruncated_normal' or 'uniform'. "
                f"Received: {distribution!r}"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        if not is_float(dtype):
            raise ValueError(f"{type(self).__name__} makes floats. Received: dtype={dtype!r}")
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        connections = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        deviation = math.sqrt(self.scale / max(1.0, connections))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * deviation
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, deviation, dtype, self.seed)
        return random.truncated_normal(shape, 0.0, deviation / _TRUNCATED_DEVIATION, dtype, self.seed)

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **super().get_config(),
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Named(VarianceScaling):
    """A variance scaling with a name of its own, whose config leaves out what the name says."""

    rule: tuple[float, str, str]

    def __init__(
        self, seed: Any = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
    ) -> None:
        super().__init__(*self.rule, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {key: config[key] for key in ("seed", "input_axes", "output_axes")}


@registered(_MODULE, "glorot_uniform")
class GlorotUniform(_Named):
    """Uniform, variance 1 / mean of inputs and outputs (Glorot and Bengio, 2010)."""

    rule = (1.0, "fan_avg", "uniform")


@registered(_MODULE, "glorot_normal")
class GlorotNormal(_Named):
    """Truncated normal, variance 1 / mean of inputs and outputs (Glorot and Bengio, 2010)."""

    rule = (1.0, "fan_avg", "truncated_normal")


@registered(_MODULE, "he_uniform")
class HeUniform(_Named):
    """Uniform, variance 2 / inputs (He et al., 2015)."""

    rule = (2.0, "fan_in", "uniform")


@registered(_MODULE, "he_normal")
class HeNormal(_Named):
    """Truncated normal, variance 2 / inputs (He et al., 2015)."""

    rule = (2.0, "fan_in", "truncated_normal")


@registered(_MODULE, "lecun_uniform")
class LecunUniform(_Named):
    """Uniform, variance 1 / inputs (LeCun et al., 1998)."""

    rule = (1.0, "fan_in", "uniform")


@registered(_MODULE, "lecun_normal")
class LecunNormal(_Named):
    """Truncated normal, variance 1 / inputs (LeCun et al., 1998)."""

    rule = (1.0, "fan_in", "truncated_normal")


@registered(_MODULE, "orthogonal", "OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """Orthonormal rows or columns, whichever are fewer, times a gain (Saxe et al., 2014). Leading axes are rows."""

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs two axes at least. Received: shape={tuple(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        draws = random.normal((max(rows, columns), min(rows, columns)), dtype="float32", seed=self.seed).numpy()
        basis, triangle = np.linalg.qr(draws.astype(np.float64))
        basis = basis * np.sign(np.diag(triangle))  # makes the distribution uniform
        matrix = basis if rows >= columns else basis.T
        return Tensor(np.ascontiguousarray(self.gain * matrix).reshape(shape).astype(as_dtype(dtype)))

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}


def get(identifier: Any) -> Any:
    """The initializer of a name ("he_normal"), a config, a class, a function `(shape, dtype)`, or None."""
    if isinstance(identifier, (np.ndarray, Tensor)):
        return Constant(np.asarray(identifier))
    return resolve(identifier, _MODULE, "initializer")


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The initializer of a config."""
    return _deserialize(config, custom_objects)


glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, variance_scaling = LecunNormal, LecunUniform, VarianceScaling
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
