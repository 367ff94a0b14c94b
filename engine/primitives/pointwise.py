"""Declaring primitives that apply a function to each entry of an array, and their gradients, by formulas in NumPy.

Half types compute in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.primitives.decomposition import differentiate
from engine.primitives.primitive import Array, Primitive, Rule, Spec, primitive, same_rule
from engine.primitives.sums import accumulation_dtype


def pointwise(compute: Callable[..., None]) -> Primitive:
    """A primitive of one input from `compute(x, out, **options)`, where `out` may be `x` itself."""

    def into(inputs: Any, outputs: Any, **options: Any) -> None:
        x, y = inputs[0], outputs[0]
        wide = accumulation_dtype(x.dtype)
        if wide == x.dtype:
            compute(x, y, **options)
        else:
            x = x.astype(wide)
            compute(x, x, **options)
            y[...] = x

    def reference(x: Array, **options: Any) -> Array:
        y = np.empty(x.shape, x.dtype)
        into((x,), (y,), **options)
        return y

    reference.__name__ = compute.__name__
    reference.__doc__ = compute.__doc__
    return primitive(same_rule, into=into, inplace=((0, 0),))(reference)


def paired_rule(name: str) -> Rule:
    """The rule of a gradient primitive that takes dy and an array of the same shape."""

    def rule(dy: Spec, z: Spec, **_: Any) -> Spec:
        if dy.shape != z.shape:
            raise ValueError(f"{name} expects two arrays of one shape. Received: {dy.shape} and {z.shape}")
        return Spec(dy.shape, dy.dtype)

    return rule


def slope(compute: Callable[..., Array]) -> Primitive:
    """A primitive dy · compute(z, **options): a function's gradient from its input or its result.

    Args:
        compute: the function's slope as a new array; its name and text become the primitive's.
    """

    def into(inputs: Any, outputs: Any, **options: Any) -> None:
        dy, z = inputs
        wide = accumulation_dtype(z.dtype)
        factor = compute(z.astype(wide, copy=False), **options)
        if wide == dy.dtype:
            np.multiply(dy, factor, out=outputs[0])
        else:
            outputs[0][...] = dy.astype(wide) * factor

    def reference(dy: Array, z: Array, **options: Any) -> Array:
        result = np.empty(dy.shape, dy.dtype)
        into((dy, z), (result,), **options)
        return result

    reference.__name__ = compute.__name__
    reference.__doc__ = compute.__doc__
    return primitive(paired_rule(compute.__name__), into=into, inplace=((0, 0), (0, 1)))(reference)


def differentiated(target: Primitive, gradient: Primitive, formula: Callable[..., Any]) -> None:
    """Registers both gradient rules of a function whose gradient primitive takes (dy, x).

    Args:
        target, gradient: the function, and what `slope` made for it.
        formula: the function composed of other primitives, for the second order.
    """

    @target.gradient
    def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, **options: Any) -> Any:
        return [gradient(gradients[0], inputs[0], **options)]

    @gradient.gradient
    def _(needed: Any, gradients: Any, outputs: Any, inputs: Any, residuals: Any, **options: Any) -> Any:
        (g,), (dy, x) = gradients, inputs

        def first(x: Any) -> Any:
            return differentiate(lambda value: formula(value, **options), [True], [dy], [x])[0]

        return [
            gradient(g, x, **options) if needed[0] else None,
            differentiate(first, [True], [g], [x])[0] if needed[1] else None,
        ]
