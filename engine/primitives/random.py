"""Random primitives: draws as functions of a key.

A key is an int64 tensor (3,): seed, step, draw. The generator is Philox 4×64, counter-based, with (seed, draw) as its
key and the step as the upper word of its counter, so that streams of different keys never meet, and what a step draws
depends on nothing that happened before it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.dtypes import as_dtype, is_float
from engine.primitives.masks import masked
from engine.primitives.primitive import Array, Primitive, Spec, primitive
from engine.primitives.sums import accumulation_dtype

_WORD = (1 << 64) - 1
_CHUNK = 1 << 15  # entries whose random bits are drawn at a time: they stay in the cache

# Keys and generators ------------------------------------------------------------------------------------------------


class _Source(threading.local):
    """One Philox per thread, set to a key for each draw: six times faster than making one."""

    def __init__(self) -> None:
        self.bits = np.random.Philox(key=0)
        self.generator = np.random.Generator(self.bits)


_source = _Source()


def generator(key: Array) -> np.random.Generator:
    """NumPy's generator at the start of a key's stream; this thread's next call sets it anew."""
    seed, step, draw = key.tolist()
    _source.bits.state = {
        "bit_generator": "Philox",
        "state": {
            "counter": np.array([0, 0, 0, step & _WORD], np.uint64),
            "key": np.array([seed & _WORD, draw & _WORD], np.uint64),
        },
        "buffer": np.zeros(4, np.uint64),
        "buffer_pos": 4,  # empty
        "has_uint32": 0,
        "uinteger": 0,
    }
    return _source.generator


def _key_rule(state: Spec, step: Spec, draw: int) -> Spec:
    return Spec((3,), np.dtype(np.int64))


def _key_into(inputs: Any, outputs: Any, draw: int) -> None:
    state, step = inputs
    outputs[0][0] = state[0]
    outputs[0][1] = step
    outputs[0][2] = draw


@primitive(_key_rule, into=_key_into, differentiable=False)
def random_key(state: Array, step: Array, draw: int) -> Array:
    """The key (state[0], step, draw), from a seed generator's state and a scalar."""
    return np.array([state[0], step, draw], np.int64)


def _check_key(key: Spec) -> None:
    if key.shape != (3,) or key.dtype != np.int64:
        raise ValueError(f"A random key is an int64 tensor of shape (3,). Received: {key.dtype.name} {key.shape}")


# Distributions ------------------------------------------------------------------------------------------------------


def _draw(compute: Callable[..., None], floats: bool = True) -> Primitive:
    """A primitive of a key from `compute(generator, out, **options)`; `out` is contiguous and of full precision.

    Half types are computed in float32 and rounded.
    """

    def rule(key: Spec, shape: tuple[int, ...], dtype: str, **_: Any) -> Spec:
        _check_key(key)
        if is_float(dtype) != floats:
            expected = "a float" if floats else "an integer"
            raise ValueError(f"{compute.__name__} expects {expected} dtype. Received: {dtype}")
        return Spec(shape, as_dtype(dtype))

    def into(inputs: Any, outputs: Any, shape: tuple[int, ...], dtype: str, **options: Any) -> None:
        y = outputs[0]
        wide = accumulation_dtype(y.dtype)
        if wide == y.dtype and y.flags.c_contiguous:
            compute(generator(inputs[0]), y, **options)
        else:
            buffer = np.empty(shape, wide)
            compute(generator(inputs[0]), buffer, **options)
            y[...] = buffer

    def reference(key: Array, shape: tuple[int, ...], dtype: str, **options: Any) -> Array:
        y = np.empty(shape, as_dtype(dtype))
        into((key,), (y,), shape, dtype, **options)
        return y

    reference.__name__ = compute.__name__
    reference.__doc__ = compute.__doc__
    return primitive(rule, into=into, differentiable=False)(reference)


@_draw
def random_uniform(source: np.random.Generator, out: Array, minval: float = 0.0, maxval: float = 1.0) -> None:
    """Uniform in [minval, maxval); rounding to a half type may reach maxval."""
    source.random(out=out, dtype=out.dtype)
    if minval != 0.0 or maxval != 1.0:
        np.multiply(out, maxval - minval, out=out)
        np.add(out, minval, out=out)
        low, high = out.dtype.type(minval), out.dtype.type(maxval)
        np.minimum(out, np.nextafter(high, low), out=out)  # the sum may have been rounded up


def _scale(out: Array, mean: float, stddev: float) -> None:
    if stddev != 1.0:
        np.multiply(out, stddev, out=out)
    if mean != 0.0:
        np.add(out, mean, out=out)


@_draw
def random_normal(source: np.random.Generator, out: Array, mean: float = 0.0, stddev: float = 1.0) -> None:
    """Normal, with mean and standard deviation."""
    source.standard_normal(out=out, dtype=out.dtype)
    _scale(out, mean, stddev)


@_draw
def random_truncated_normal(source: np.random.Generator, out: Array, mean: float = 0.0, stddev: float = 1.0) -> None:
    """Normal; what lies further than two standard deviations from the mean is drawn again."""
    source.standard_normal(out=out, dtype=out.dtype)
    flat = out.reshape(-1)
    outside = np.flatnonzero(np.abs(flat) > 2)
    while outside.size:
        again = source.standard_normal(outside.size, dtype=out.dtype)
        flat[outside] = again
        outside = outside[np.abs(again) > 2]
    _scale(out, mean, stddev)


def _integers(source: np.random.Generator, out: Array, minval: int, maxval: int) -> None:
    out[...] = source.integers(minval, maxval, size=out.shape, dtype=out.dtype)


_integers.__name__ = "random_integers"
_integers.__doc__ = "Integers in [minval, maxval), all equally likely."
random_integers = _draw(_integers, floats=False)


def _permutation_rule(key: Spec, length: int) -> Spec:
    _check_key(key)
    return Spec((length,), np.dtype(np.int32))


@primitive(_permutation_rule, differentiable=False)
def permutation(key: Array, length: int) -> Array:
    """0 … length - 1 (int32) in random order."""
    result = np.arange(length, dtype=np.int32)
    generator(key).shuffle(result)
    return result


def _of_parameters(compute: Callable[..., Array]) -> Primitive:
    """A primitive of a key and parameter arrays, from `compute(generator, *parameters in float64)`."""

    def rule(key: Spec, *parameters: Spec) -> Spec:
        _check_key(key)
        if any(parameter.shape != parameters[0].shape for parameter in parameters):
            raise ValueError(
                f"{compute.__name__} expects parameters of one shape. "
                f"Received: {', '.join(str(parameter.shape) for parameter in parameters)}"
            )
        return Spec(parameters[0].shape, parameters[0].dtype)

    def reference(key: Array, *parameters: Array) -> Array:
        wide = (np.asarray(parameter, np.float64) for parameter in parameters)
        return np.asarray(compute(generator(key), *wide)).astype(parameters[0].dtype)

    reference.__name__ = compute.__name__
    reference.__doc__ = compute.__doc__
    return primitive(rule, differentiable=False)(reference)


@_of_parameters
def random_gamma(source: np.random.Generator, alpha: Array) -> Array:
    """Gamma with shape parameter alpha and scale 1, in the shape and dtype of alpha."""
    return source.standard_gamma(alpha)


@_of_parameters
def random_beta(source: np.random.Generator, alpha: Array, beta: Array) -> Array:
    """Beta, in the shape and dtype of alpha."""
    return source.beta(alpha, beta)


@_of_parameters
def random_binomial(source: np.random.Generator, counts: Array, probabilities: Array) -> Array:
    """How many of `counts` trials succeed, in the shape and dtype of counts."""
    return source.binomial(counts.astype(np.int64), probabilities)


# Dropout ------------------------------------------------------------------------------------------------------------


def _dropout_rule(x: Spec, key: Spec, rate: float, noise_shape: tuple[int, ...] | None = None) -> tuple[Spec, Spec]:
    _check_key(key)
    if not 0 <= rate <= 1:
        raise ValueError(f"Dropout expects a rate between 0 and 1. Received: {rate}")
    noise = x.shape if noise_shape is None else noise_shape
    fits = len(noise) == len(x.shape) and all(a in (1, b) for a, b in zip(noise, x.shape, strict=True))
    if not fits:
        raise ValueError(
            f"Dropout of an input of shape {x.shape} expects a noise shape of its lengths or 1. Received: {noise}"
        )
    return Spec(x.shape, x.dtype), Spec(noise, np.dtype(bool))


def _bit_width(rate: float) -> int:
    """Bits that decide on one entry: few where they express the rate exactly or nearly (to 2^-17), else 32."""
    if (rate * 256).is_integer():
        return 8
    return 16 if 0.01 < rate < 0.99 else 32


def keep_mask(key: Array, rate: float, out: Array) -> None:
    """Fills the contiguous bool array `out`: False with probability `rate`."""
    width = _bit_width(float(rate))
    threshold = min(round(rate * (1 << width)), 1 << width)
    flat = out.reshape(-1)
    if threshold in (0, 1 << width):
        flat[...] = not threshold
        return
    generator(key)
    word = np.dtype(f"u{width // 8}")
    limit = word.type(threshold)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        words = -(-part.size * word.itemsize // 8)
        np.greater_equal(_source.bits.random_raw(words).view(word)[: part.size], limit, out=part)


def _scaled(x: Array, mask: Array, rate: float, out: Array) -> None:
    scale = 1 / (1 - rate) if rate < 1 else 0.0
    np.multiply(x, x.dtype.type(scale), out=out)
    masked(out, mask, out=out)


def _dropout_into(inputs: Any, outputs: Any, rate: float, noise_shape: tuple[int, ...] | None = None) -> None:
    keep_mask(inputs[1], rate, outputs[1])
    _scaled(inputs[0], outputs[1], rate, outputs[0])


@primitive(_dropout_rule, residuals=1, into=_dropout_into, inplace=((0, 0),))
def dropout(x: Array, key: Array, rate: float, noise_shape: tuple[int, ...] | None = None) -> tuple[Array, Array]:
    """`x` with entries set to 0 with probability `rate`, the others divided by 1 - rate.

    Entries along axes where `noise_shape` is 1 share their fate. The residual is the mask of what was kept.
    """
    y, mask = np.empty(x.shape, x.dtype), np.empty(noise_shape or x.shape, bool)
    _dropout_into((x, key), (y, mask), rate)
    return y, mask


def _dropout_gradient_into(inputs: Any, outputs: Any, rate: float) -> None:
    _scaled(inputs[0], inputs[1], rate, outputs[0])


@primitive(lambda dy, mask, rate: Spec(dy.shape, dy.dtype), into=_dropout_gradient_into, inplace=((0, 0),))
def dropout_gradient(dy: Array, mask: Array, rate: float) -> Array:
    """`dy` divided by 1 - rate where the mask holds, else 0."""
    dx = np.empty(dy.shape, dy.dtype)
    _scaled(dy, mask, rate, dx)
    return dx


@dropout.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, rate: float, **_: Any) -> Any:
    return [dropout_gradient(gradients[0], residuals[0], rate=rate), None]


@dropout_gradient.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, rate: float) -> Any:
    return [dropout_gradient(gradients[0], inputs[1], rate=rate), None]
