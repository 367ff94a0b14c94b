"""Optimizer steps as single primitives: each reads a variable, its slots and a gradient and gives their next values.

They exist for speed alone. A plan lets every result take the place of its input, and `into` goes through the arrays in
chunks that stay in the cache, so that a parameter, its slots and its gradient come from memory once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from engine.primitives.primitive import Array, Spec, primitive

CHUNK = 16_384
"""Elements a chunk: with float32, five arrays of 64 KB, which a second-level cache holds."""


def _first_rule(count: int) -> Any:
    """A rule: `count` outputs like the first `count` inputs; the gradient has the variable's shape."""

    def rule(*specs: Spec, **_: Any) -> tuple[Spec, ...]:
        shape = specs[0].shape
        for spec in specs[1 : count + 1]:
            if spec.shape != shape:
                raise ValueError(f"An update of a variable of shape {shape} was given an array of shape {spec.shape}.")
        if specs[-1].shape != ():
            raise ValueError(f"The step size of an update must be a scalar, received shape {specs[-1].shape}.")
        return tuple(Spec(spec.shape, spec.dtype) for spec in specs[:count])

    return rule


def _chunks(arrays: Sequence[Array]) -> Iterator[list[Array]]:
    """The arrays, all of one size, as flat pieces of at most `CHUNK` elements."""
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, CHUNK):
        yield [array[start : start + CHUNK] for array in flat]


def _fresh(arrays: Sequence[Array], rate: Array, into: Any, count: int, **options: Any) -> tuple[Array, ...]:
    """The results of `into` in new arrays: the reference of every primitive here."""
    outputs = tuple(np.empty(array.shape, array.dtype) for array in arrays[:count])
    into((*arrays, rate), outputs, **options)
    return outputs


# Stochastic gradient descent -----------------------------------------------------------------------------------------


def _sgd_into(inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
    variable, gradient, rate = inputs
    scratch = np.empty(min(CHUNK, variable.size), variable.dtype)
    for p, g, result in _chunks((variable, gradient, outputs[0])):
        step = scratch[: p.size]
        np.multiply(g, rate, out=step)
        np.subtract(p, step, out=result)


@primitive(_first_rule(1), into=_sgd_into, inplace=((0, 0),), differentiable=False)
def sgd_update(variable: Array, gradient: Array, rate: Array) -> tuple[Array, ...]:
    """`variable - rate * gradient`; `rate` is a scalar."""
    return _fresh((variable, gradient), rate, _sgd_into, 1)


def _momentum_into(inputs: Sequence[Array], outputs: Sequence[Array], momentum: float, nesterov: bool) -> None:
    variable, velocity, gradient, rate = inputs
    scratch = np.empty(min(CHUNK, variable.size), variable.dtype)
    for p, v, g, next_p, next_v in _chunks((variable, velocity, gradient, *outputs)):
        step = scratch[: p.size]
        np.multiply(g, rate, out=step)
        np.multiply(v, momentum, out=next_v)
        np.subtract(next_v, step, out=next_v)
        if nesterov:
            np.subtract(p, step, out=next_p)
            np.multiply(next_v, momentum, out=step)
            np.add(next_p, step, out=next_p)
        else:
            np.add(p, next_v, out=next_p)


@primitive(_first_rule(2), outputs=2, into=_momentum_into, inplace=((0, 0), (1, 1)), differentiable=False)
def momentum_update(
    variable: Array, velocity: Array, gradient: Array, rate: Array, momentum: float, nesterov: bool = False
) -> tuple[Array, ...]:
    """Gradient descent with momentum: the next variable and velocity.

    The velocity becomes `momentum * velocity - rate * gradient` and is added to the variable; with `nesterov` what is
    added is `momentum * velocity - rate * gradient` once more, from the new velocity.
    """
    return _fresh((variable, velocity, gradient), rate, _momentum_into, 2, momentum=momentum, nesterov=nesterov)


# Adam --------------------------------------------------------------------------------------------------------------


def _adam_into(inputs: Sequence[Array], outputs: Sequence[Array], beta_1: float, beta_2: float, epsilon: float) -> None:
    variable, momentum, velocity, gradient, rate = inputs
    scratch = np.empty(min(CHUNK, variable.size), variable.dtype)
    for p, m, v, g, next_p, next_m, next_v in _chunks((variable, momentum, velocity, gradient, *outputs)):
        step = scratch[: p.size]
        np.subtract(g, m, out=step)
        np.multiply(step, 1.0 - beta_1, out=step)
        np.add(m, step, out=next_m)
        np.multiply(g, g, out=step)
        np.subtract(step, v, out=step)
        np.multiply(step, 1.0 - beta_2, out=step)
        np.add(v, step, out=next_v)
        np.sqrt(next_v, out=step)
        np.add(step, epsilon, out=step)
        np.divide(next_m, step, out=step)
        np.multiply(step, rate, out=step)
        np.subtract(p, step, out=next_p)


@primitive(_first_rule(3), outputs=3, into=_adam_into, inplace=((0, 0), (1, 1), (2, 2)), differentiable=False)
def adam_update(
    variable: Array,
    momentum: Array,
    velocity: Array,
    gradient: Array,
    rate: Array,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[Array, ...]:
    """One step of Adam (Kingma and Ba 2015, the form before section 2.1): the next variable and moments.

    `rate` is the scalar step size, bias corrections included; `epsilon` is added to the root of the second moment.
    """
    return _fresh(
        (variable, momentum, velocity, gradient), rate, _adam_into, 3, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon
    )
