"""Updates by moving averages of the gradient and of its size: Adam and its relatives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.primitives.primitive import Array
from engine.primitives.update.chunks import average, chunked_update

Arrays = Sequence[Array]


def _moments(old: Arrays, gradient: Array, new: Arrays, step: Array, beta_1: float, beta_2: float) -> None:
    """The next averages of the gradient and of its square."""
    average(old[0], gradient, new[0], 1.0 - beta_1, step)
    np.multiply(gradient, gradient, out=step)
    average(old[1], step, new[1], 1.0 - beta_2, step)


def _descend(p: Array, first: Array, second: Array, next_p: Array, step: Array, size: Array, epsilon: float) -> None:
    """`p - size * first / (sqrt(second) + epsilon)`."""
    np.sqrt(second, out=step)
    np.add(step, epsilon, out=step)
    np.divide(first, step, out=step)
    np.multiply(step, size, out=step)
    np.subtract(p, step, out=next_p)


@chunked_update(slots=2)
def adam_update(
    old: Arrays,
    gradient: Array,
    new: Arrays,
    scratch: Arrays,
    size: Array,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """One step of Adam (Kingma and Ba 2015, the form before section 2.1): the next variable and moments.

    `size` is the step size, bias corrections included; `epsilon` is added to the root of the second moment.
    """
    (step,) = scratch
    _moments(old[1:], gradient, new[1:], step, beta_1, beta_2)
    _descend(old[0], new[1], new[2], new[0], step, size, epsilon)


@chunked_update(slots=3)
def amsgrad_update(
    old: Arrays,
    gradient: Array,
    new: Arrays,
    scratch: Arrays,
    size: Array,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Adam with the largest second moment so far in the denominator (Reddi et al. 2018): variable, moments, largest."""
    (step,) = scratch
    _moments(old[1:3], gradient, new[1:3], step, beta_1, beta_2)
    np.maximum(old[3], new[2], out=new[3])
    _descend(old[0], new[1], new[3], new[0], step, size, epsilon)


@chunked_update(slots=2, scratch=2, scalars=3)
def nadam_update(
    old: Arrays,
    gradient: Array,
    new: Arrays,
    scratch: Arrays,
    first: Array,
    direct: Array,
    second: Array,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Adam with Nesterov's momentum (Dozat 2016): the next variable and moments.

    The step is `(first * momentum + direct * gradient) / (sqrt(second * velocity) + epsilon)`; the three scalars hold
    the step size and the corrections.
    """
    step, other = scratch
    _moments(old[1:], gradient, new[1:], step, beta_1, beta_2)
    np.multiply(new[1], first, out=step)
    np.multiply(gradient, direct, out=other)
    np.add(step, other, out=step)
    np.multiply(new[2], second, out=other)
    np.sqrt(other, out=other)
    np.add(other, epsilon, out=other)
    np.divide(step, other, out=step)
    np.subtract(old[0], step, out=new[0])


@chunked_update(slots=2)
def adamax_update(
    old: Arrays,
    gradient: Array,
    new: Arrays,
    scratch: Arrays,
    size: Array,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Adam with the largest decayed gradient as denominator (Kingma and Ba 2015, section 7.1).

    Gives the next variable, average of gradients and largest gradient.
    """
    (p, m, u), (next_p, next_m, next_u), (step,) = old, new, scratch
    average(m, gradient, next_m, 1.0 - beta_1, step)
    np.abs(gradient, out=step)
    np.multiply(u, beta_2, out=next_u)
    np.maximum(next_u, step, out=next_u)
    np.add(next_u, epsilon, out=step)
    np.divide(next_m, step, out=step)
    np.multiply(step, size, out=step)
    np.subtract(p, step, out=next_p)
