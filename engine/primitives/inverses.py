"""Primitives that undo sines, cosines and tangents, circular and hyperbolic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.primitives.elementwise import add, divide, multiply, negative, sqrt, square, subtract
from engine.primitives.primitive import Array, Primitive, primitive, same_rule


def _inverse(ufunc: np.ufunc, derivative: Callable[[Any], Any]) -> Primitive:
    """A function of one value from NumPy's, and its derivative as a formula in x."""

    def reference(x: Array) -> Array:
        return ufunc(x)

    reference.__name__ = ufunc.__name__
    made = primitive(same_rule, ufunc=ufunc)(reference)

    @made.gradient
    def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any) -> Any:
        return [multiply(gradients[0], derivative(inputs[0]))]

    return made


def _reciprocal_root(x: Any) -> Any:
    return divide(1.0, sqrt(x))


arcsin = _inverse(np.arcsin, lambda x: _reciprocal_root(subtract(1.0, square(x))))
arccos = _inverse(np.arccos, lambda x: negative(_reciprocal_root(subtract(1.0, square(x)))))
arctan = _inverse(np.arctan, lambda x: divide(1.0, add(square(x), 1.0)))
arcsinh = _inverse(np.arcsinh, lambda x: _reciprocal_root(add(square(x), 1.0)))
arccosh = _inverse(np.arccosh, lambda x: _reciprocal_root(multiply(subtract(x, 1.0), add(x, 1.0))))
arctanh = _inverse(np.arctanh, lambda x: divide(1.0, subtract(1.0, square(x))))
