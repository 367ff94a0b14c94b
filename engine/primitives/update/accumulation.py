"""Updates that divide by what gradients added up to: RMSprop, Adagrad, Adadelta, FTRL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.primitives.primitive import Array, Primitive
from engine.primitives.update.chunks import average, chunked_update

Arrays = Sequence[Array]


def _rmsprop_update(with_momentum: bool, centered: bool) -> Primitive:
    def rmsprop_update(
        old: Arrays,
        gradient: Array,
        new: Arrays,
        scratch: Arrays,
        rate: Array,
        rho: float,
        epsilon: float,
        momentum: float,
    ) -> None:
        """RMSprop (Tieleman and Hinton 2012): the next variable and average of squares, and where they are kept
        the velocity and the average gradient, in this order.
        """
        (step,) = scratch
        np.multiply(gradient, gradient, out=step)
        average(old[1], step, new[1], 1.0 - rho, step)
        if centered:
            average(old[-1], gradient, new[-1], 1.0 - rho, step)
            np.multiply(new[-1], new[-1], out=step)
            np.subtract(new[1], step, out=step)
            np.add(step, epsilon, out=step)
        else:
            np.add(new[1], epsilon, out=step)
        np.sqrt(step, out=step)
        np.divide(gradient, step, out=step)
        np.multiply(step, rate, out=step)
        if with_momentum:
            np.multiply(old[2], momentum, out=new[2])
            np.add(new[2], step, out=new[2])
            step = new[2]
        np.subtract(old[0], step, out=new[0])

    rmsprop_update.__name__ += "_momentum" * with_momentum + "_centered" * centered
    return chunked_update(slots=1 + with_momentum + centered)(rmsprop_update)


_RMSPROP = {(m, c): _rmsprop_update(m, c) for m in (False, True) for c in (False, True)}


def rmsprop_update(with_momentum: bool, centered: bool) -> Primitive:
    """The update of RMSprop for the slots that are kept: with a velocity or not, with an average gradient or not."""
    return _RMSPROP[with_momentum, centered]


@chunked_update(slots=1)
def adagrad_update(old: Arrays, gradient: Array, new: Arrays, scratch: Arrays, rate: Array, epsilon: float) -> None:
    """Adagrad (Duchi et al. 2011): the next variable and sum of squares. `epsilon` is added under the root."""
    (p, total), (next_p, next_total), (step,) = old, new, scratch
    np.multiply(gradient, gradient, out=step)
    np.add(total, step, out=next_total)
    np.add(next_total, epsilon, out=step)
    np.sqrt(step, out=step)
    np.divide(gradient, step, out=step)
    np.multiply(step, rate, out=step)
    np.subtract(p, step, out=next_p)


@chunked_update(slots=2, scratch=2)
def adadelta_update(
    old: Arrays, gradient: Array, new: Arrays, scratch: Arrays, rate: Array, rho: float, epsilon: float
) -> None:
    """Adadelta (Zeiler 2012): the next variable, average of squared gradients, average of squared steps."""
    (p, squares, steps), (next_p, next_squares, next_steps), (step, other) = old, new, scratch
    np.multiply(gradient, gradient, out=step)
    average(squares, step, next_squares, 1.0 - rho, step)
    np.add(next_squares, epsilon, out=other)
    np.add(steps, epsilon, out=step)
    np.divide(step, other, out=step)
    np.sqrt(step, out=step)
    np.multiply(step, gradient, out=step)
    np.multiply(step, step, out=other)
    average(steps, other, next_steps, 1.0 - rho, other)
    np.multiply(step, rate, out=step)
    np.subtract(p, step, out=next_p)


@chunked_update(slots=2, scratch=3)
def ftrl_update(
    old: Arrays,
    gradient: Array,
    new: Arrays,
    scratch: Arrays,
    rate: Array,
    power: float,
    l1: float,
    l2: float,
    shrinkage: float,
    beta: float,
) -> None:
    """Follow the regularized leader (McMahan et al. 2013): the next variable, sum of squares and linear term.

    `power` is what the sum of squares is raised to, positive; `l1`, `l2` and `shrinkage` weigh the regularizers.
    """
    (p, total, linear), (next_p, next_total, next_linear), (step, before, after) = old, new, scratch
    np.power(total, power, out=before)
    np.multiply(gradient, gradient, out=step)
    np.add(total, step, out=next_total)
    np.power(next_total, power, out=after)
    np.subtract(after, before, out=before)
    np.divide(before, rate, out=before)
    np.multiply(before, p, out=before)
    np.multiply(p, 2.0 * shrinkage, out=step)
    np.add(step, gradient, out=step)
    np.subtract(step, before, out=step)
    np.add(linear, step, out=next_linear)
    np.divide(after, rate, out=after)
    np.add(after, 2.0 * l2 + beta / rate, out=after)
    np.clip(next_linear, -l1, l1, out=step)
    np.subtract(step, next_linear, out=step)
    np.divide(step, after, out=next_p)
