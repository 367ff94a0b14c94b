"""Random numbers: seed generators and `keras.random`.

Every draw is a function of a key (seed, step, draw). A seed generator hands out keys: on its own it counts its calls;
inside `step_scope` the key depends on the training step alone, so that a run resumed at step n draws what an
uninterrupted one draws, and a captured step needs no state of its own.
"""

from __future__ import annotations

import random as python_random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np

from engine.dtypes import as_dtype, is_float, standardize_dtype
from engine.naming import auto_name
from engine.primitives import random as primitives
from engine.primitives.apply import as_value
from engine.primitives.casting import cast
from engine.primitives.elementwise import add, log, multiply, negative, subtract
from engine.primitives.reductions import argmax
from engine.primitives.shaping import broadcast_to, gather, getitem, reshape
from engine.registry import registered
from engine.scopes import current_graph, taping
from engine.tensor import Symbol, Tensor
from engine.variable import Variable

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "make_default_seed",
    "normal",
    "randint",
    "set_random_seed",
    "shuffle",
    "step_scope",
    "truncated_normal",
    "uniform",
]

_OUTSIDE_STEPS = -1  # the draw of keys that a generator counts itself: never that of a step
_SEED_LIMIT = 1 << 32

# Steps ---------------------------------------------------------------------------------------------------------------


class _Step:
    """One training step: its number and how often each generator drew in it."""

    def __init__(self, iterations: Any) -> None:
        self.iterations = iterations
        self.draws: dict[SeedGenerator, int] = {}


class _Current(threading.local):
    step: _Step | None = None


_current = _Current()


@contextmanager
def step_scope(iterations: Variable) -> Iterator[None]:
    """Inside, a generator's n-th key is (seed, the value of `iterations`, n); no generator's state changes.

    Args:
        iterations: an integer scalar that counts training steps; read as a symbol while a graph is captured.
    """
    before = _current.step
    _current.step = _Step(iterations)
    try:
        yield
    finally:
        _current.step = before


# Seeds ---------------------------------------------------------------------------------------------------------------


@registered("keras.random")
class SeedGenerator:
    """A source of keys for random operations.

    Args:
        seed: an integer in [0, 2³²); default: drawn from the global seed (see `set_random_seed`).
        name: default: numbered automatically.

    `state` is a non-trainable variable (2,), uint32: the seed and how many keys were handed out outside of steps.
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        if seed is not None:
            _check_seed(seed)
        self.name = name or auto_name("SeedGenerator")
        self._initial_seed = seed
        start = make_default_seed() if seed is None else int(seed)
        self.state = Variable(np.array([start, 0], np.uint32), trainable=False, name="seed_generator_state")
        self.state.path = f"{self.name}/seed_generator_state"

    def next(self, ordered: bool = True) -> Tensor | Symbol:
        """The next key, an int64 tensor (3,).

        Args:
            ordered: for Keras's sake; keys are always handed out in the order of calls.
        """
        step = _current.step
        if step is not None:
            draw = step.draws.get(self, 0)
            step.draws[self] = draw + 1
            return primitives.random_key(self.state, step.iterations, draw=draw)
        one = np.array([0, 1], np.uint32)
        if current_graph() is not None:
            key = primitives.random_key(self.state, getitem(self.state, key=(1,)), draw=_OUTSIDE_STEPS)
            self.state.assign(add(self.state, one))
            return key
        seed, count = self.state.array.tolist()
        with taping(()):  # no gradient needs the old state: its memory stays where it is
            self.state.assign(self.state.array + one)
        return _key_of(seed, count)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        return cls(**config)


def _check_seed(seed: Any) -> None:
    if not isinstance(seed, Integral):
        raise ValueError(f"Argument `seed` must be an integer. Received: seed={seed!r} (of type {type(seed).__name__})")
    if not 0 <= int(seed) < _SEED_LIMIT:
        raise ValueError(f"Argument `seed` must lie in [0, 2**32). Received: seed={seed}")


def _key_of(seed: int, count: int) -> Tensor:
    return Tensor(np.array([seed, count, _OUTSIDE_STEPS], np.int64))


class _Global:
    """Where seeds that nobody gave come from."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seeds = python_random.Random()
        self.generator: SeedGenerator | None = None


_global = _Global()


def make_default_seed() -> int:
    """A seed for something created without one: the next in a row that `set_random_seed` starts."""
    return _global.seeds.randint(1, 10**9)


def global_seed_generator() -> SeedGenerator:
    """The generator behind functions that are called without a seed."""
    with _global.lock:
        if _global.generator is None:
            _global.generator = SeedGenerator(make_default_seed(), name="global_seed_generator")
        return _global.generator


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, NumPy and the engine, so that a program draws the same numbers each time it runs.

    Args:
        seed: an integer in [0, 2³²).
    """
    _check_seed(seed)
    python_random.seed(seed)
    np.random.seed(int(seed))
    with _global.lock:
        _global.seeds.seed(int(seed))
        _global.generator = SeedGenerator(int(seed), name="global_seed_generator")


def _key(seed: Any) -> Tensor | Symbol:
    """The key for one call with a `seed` argument; an integer always gives the same."""
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if seed is None:
        return global_seed_generator().next()
    if not isinstance(seed, Integral):
        raise ValueError(
            "Argument `seed` must be either an integer or an instance of `SeedGenerator`. "
            f"Received: seed={seed!r} (of type {type(seed).__name__})"
        )
    _check_seed(seed)
    return _key_of(int(seed), 0)


# Distributions -------------------------------------------------------------------------------------------------------


def _shape(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(length) for length in shape)


def _float_dtype(name: str, dtype: Any) -> str:
    if not is_float(dtype):
        raise ValueError(f"`keras.random.{name}` requires a float `dtype`. Received: dtype={standardize_dtype(dtype)}")
    return standardize_dtype(dtype)


def _located(draw: Any, key: Any, shape: tuple[int, ...], dtype: str, mean: Any, stddev: Any) -> Any:
    if isinstance(mean, Real) and isinstance(stddev, Real):
        return draw(key, shape=shape, dtype=dtype, mean=float(mean), stddev=float(stddev))
    return add(multiply(draw(key, shape=shape, dtype=dtype), as_value(stddev, dtype)), as_value(mean, dtype))


def normal(shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normal numbers.

    Args:
        shape: of the result.
        mean, stddev: numbers, or tensors that broadcast to `shape`.
        dtype: a float type; default: `floatx()`.
        seed: an integer (the same numbers at every call), a SeedGenerator, or None: the global generator.
    """
    dtype = _float_dtype("normal", dtype)
    return _located(primitives.random_normal, _key(seed), _shape(shape), dtype, mean, stddev)


def truncated_normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Normal numbers within two standard deviations of the mean; arguments as for `normal`."""
    dtype = _float_dtype("truncated_normal", dtype)
    return _located(primitives.random_truncated_normal, _key(seed), _shape(shape), dtype, mean, stddev)


def uniform(shape: Sequence[int], minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers uniform in [minval, maxval); other arguments as for `normal`."""
    dtype, lengths, key = _float_dtype("uniform", dtype), _shape(shape), _key(seed)
    if isinstance(minval, Real) and isinstance(maxval, Real):
        return primitives.random_uniform(key, shape=lengths, dtype=dtype, minval=float(minval), maxval=float(maxval))
    low, high = as_value(minval, dtype), as_value(maxval, dtype)
    return add(multiply(primitives.random_uniform(key, shape=lengths, dtype=dtype), subtract(high, low)), low)


def randint(shape: Sequence[int], minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Integers in [minval, maxval), all equally likely; `dtype` is an integer type."""
    if is_float(dtype) or as_dtype(dtype).kind == "b":
        raise ValueError(
            f"`keras.random.randint` requires an integer `dtype`. Received: dtype={standardize_dtype(dtype)}"
        )
    if not int(minval) < int(maxval):
        raise ValueError(f"`keras.random.randint` requires minval < maxval. Received: minval={minval}, maxval={maxval}")
    return primitives.random_integers(
        _key(seed), shape=_shape(shape), dtype=standardize_dtype(dtype), minval=int(minval), maxval=int(maxval)
    )


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Samples of classes: (batch, num_samples), from unnormalised log-probabilities (batch, classes)."""
    logits = as_value(logits)
    if logits.ndim != 2:
        raise ValueError(f"`logits` must be of shape (batch_size, num_classes). Received: shape {logits.shape}")
    batch, classes = logits.shape
    # The largest of logit + Gumbel noise falls on a class with its probability.
    tiny = float(np.finfo(np.float32).tiny)
    shape = (batch, int(num_samples), classes)
    noise = primitives.random_uniform(_key(seed), shape=shape, dtype="float32", minval=tiny, maxval=1.0)
    gumbel = negative(log(negative(log(noise))))
    samples = argmax(add(gumbel, reshape(cast(logits, dtype="float32"), shape=(batch, 1, classes))), axis=2)
    return cast(samples, dtype=standardize_dtype(dtype))


def dropout(inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Any = None) -> Any:
    """Sets entries to 0 with probability `rate` and divides the others by 1 - rate.

    Args:
        inputs: a float tensor.
        rate: between 0 and 1.
        noise_shape: lengths 1 where entries along an axis share their fate; None stands for the input's length.
        seed: as for `normal`.
    """
    inputs = as_value(inputs)
    noise = None
    if noise_shape is not None:
        if len(noise_shape) != inputs.ndim:
            raise ValueError(f"Expected a noise shape of {inputs.ndim} lengths. Received: noise_shape={noise_shape}")
        noise = tuple(
            length if given is None else int(given) for given, length in zip(noise_shape, inputs.shape, strict=True)
        )
    return primitives.dropout(inputs, _key(seed), rate=float(rate), noise_shape=noise)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """The entries of `x` along `axis` in random order."""
    x = as_value(x)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"Axis {axis} is out of range for shape {x.shape}.")
    axis %= x.ndim
    return gather(x, primitives.permutation(_key(seed), length=x.shape[axis]), axis=axis)


def _of_parameters(draw: Any, name: str, shape: Sequence[int], parameters: Sequence[Any], dtype: Any, seed: Any) -> Any:
    dtype = _float_dtype(name, dtype)
    spread = [broadcast_to(as_value(parameter, dtype), shape=_shape(shape)) for parameter in parameters]
    return cast(draw(_key(seed), *spread), dtype=dtype)


def gamma(shape: Sequence[int], alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Gamma numbers with shape parameter `alpha` and scale 1; other arguments as for `normal`."""
    return _of_parameters(primitives.random_gamma, "gamma", shape, (alpha,), dtype, seed)


def beta(shape: Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Beta numbers with parameters `alpha` and `beta`; other arguments as for `normal`."""
    return _of_parameters(primitives.random_beta, "beta", shape, (alpha, beta), dtype, seed)


def binomial(shape: Sequence[int], counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Any:
    """How many of `counts` trials succeed, each with `probabilities`; other arguments as for `normal`."""
    return _of_parameters(primitives.random_binomial, "binomial", shape, (counts, probabilities), dtype, seed)
