"""The error function and the Gaussian error linear unit, exact and approximated."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from engine.primitives.elementwise import add, exp, multiply, negative, square, tanh
from engine.primitives.pointwise import differentiated, pointwise, slope
from engine.primitives.primitive import Array

CUBIC = 0.044715  # of the approximation by tanh (Hendrycks and Gimpel, 2016)
ROOT = math.sqrt(2 / math.pi)
_FLAT = 40.0  # beyond, the slope of gelu is 0 or 1

# Error function ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _erf_series(reach: float, degree: int) -> tuple[float, ...]:
    """Chebyshev coefficients of erf(x) / x as a function of x² on [0, reach²]."""

    nodes = np.polynomial.chebyshev.chebpts1(degree + 1)
    roots = np.sqrt((nodes + 1) / 2) * reach
    ratios = [math.erf(root) / root for root in roots]
    return tuple(np.polynomial.chebyshev.chebfit(nodes, ratios, degree).tolist())


def _erf(x: Array, out: Array) -> None:
    reach, degree = (4.0, 22) if x.dtype == np.float32 else (6.0, 48)
    first, *others = _erf_series(reach, degree)
    x = np.clip(x, -reach, reach)
    place = x * x * (2 / reach**2) - 1
    # Clenshaw's recurrence.
    doubled = place * 2
    newer, older = np.zeros_like(x), np.zeros_like(x)
    for coefficient in reversed(others):
        newer, older = doubled * newer - older + coefficient, newer
    np.multiply(place * newer - older + first, x, out=out)


@pointwise
def erf(x: Array, out: Array) -> None:
    """The error function, within 3e-7 in float32 and 2e-14 in float64."""
    _erf(x, out)


@erf.gradient
def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
    return [multiply(gradients[0], multiply(exp(negative(square(inputs[0]))), 2 / math.sqrt(math.pi)))]


# Gelu ----------------------------------------------------------------------------------------------------------------


@pointwise
def gelu(x: Array, out: Array, approximate: bool) -> None:
    """x times the normal distribution function at x, which `approximate` puts as (1 + tanh(…)) / 2."""
    if approximate:
        with np.errstate(over="ignore"):  # infinity gives the right 1
            gate = x * x * x * CUBIC + x
        gate *= ROOT
        np.tanh(gate, out=gate)
    else:
        gate = x * math.sqrt(0.5)
        _erf(gate, gate)
    gate += 1
    np.multiply(x, 0.5, out=out)
    out *= gate


@slope
def gelu_gradient(x: Array, approximate: bool) -> Array:
    """The gradient of `gelu` from its input."""
    x = np.clip(x, -_FLAT, _FLAT)
    if approximate:
        squares = x * x
        bend = np.tanh((squares * CUBIC + 1) * x * ROOT)
        return 0.5 * (1 + bend) + 0.5 * x * (1 - bend * bend) * (squares * (3 * CUBIC) + 1) * ROOT
    below = x * math.sqrt(0.5)
    _erf(below, below)
    return 0.5 * (1 + below) + x * np.exp(x * x * -0.5) * (0.5 * ROOT)


def _gelu_formula(x: Any, approximate: bool) -> Any:
    if approximate:
        bend = tanh(multiply(add(x, multiply(multiply(square(x), x), CUBIC)), ROOT))
    else:
        bend = erf(multiply(x, math.sqrt(0.5)))
    return multiply(multiply(x, 0.5), add(bend, 1.0))


differentiated(gelu, gelu_gradient, _gelu_formula)
