"""Updates along the gradient: plain, with momentum, by sign."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.primitives.primitive import Array
from engine.primitives.update.chunks import average, chunked_update

Arrays = Sequence[Array]


@chunked_update(slots=0)
def sgd_update(old: Arrays, gradient: Array, new: Arrays, scratch: Arrays, rate: Array) -> None:
    """`variable - rate * gradient`."""
    (step,) = scratch
    np.multiply(gradient, rate, out=step)
    np.subtract(old[0], step, out=new[0])


@chunked_update(slots=1)
def momentum_update(
    old: Arrays, gradient: Array, new: Arrays, scratch: Arrays, rate: Array, momentum: float, nesterov: bool = False
) -> None:
    """Gradient descent with momentum: the next variable and velocity.

    The velocity becomes `momentum * velocity - rate * gradient` and is added to the variable; with `nesterov` what is
    added is `momentum * velocity - rate * gradient` once more, from the new velocity.
    """
    (p, v), (next_p, next_v), (step,) = old, new, scratch
    np.multiply(gradient, rate, out=step)
    np.multiply(v, momentum, out=next_v)
    np.subtract(next_v, step, out=next_v)
    if nesterov:
        np.subtract(p, step, out=next_p)
        np.multiply(next_v, momentum, out=step)
        np.add(next_p, step, out=next_p)
    else:
        np.add(p, next_v, out=next_p)


@chunked_update(slots=1)
def lion_update(
    old: Arrays, gradient: Array, new: Arrays, scratch: Arrays, rate: Array, beta_1: float, beta_2: float
) -> None:
    """Lion (Chen et al. 2023): a step of `rate` by the sign of an average with momentum, whose own rate is another."""
    (p, m), (next_p, next_m), (step,) = old, new, scratch
    average(m, gradient, step, 1.0 - beta_1, step)
    np.sign(step, out=step)
    np.multiply(step, rate, out=step)
    np.subtract(p, step, out=next_p)
    average(m, gradient, next_m, 1.0 - beta_2, step)
