"""Matrix products and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.ops.axes import one_axis
from engine.ops.declare import operation
from engine.primitives import elementwise as e
from engine.primitives import linear, shaping
from engine.primitives.apply import as_value, promoted


@operation("numpy", "Matmul")
def matmul(x1: Any, x2: Any) -> Any:
    """The matrix product of the last two axes; the others broadcast."""
    return linear.matmul(x1, x2)


def dense(x: Any, kernel: Any, bias: Any = None) -> Any:
    """x · kernel + bias in one operation: x (…, inputs), kernel (inputs, units), bias (units,) or None."""
    return linear.matmul(x, kernel) if bias is None else linear.matmul(x, kernel, bias)


@operation("numpy", "Tensordot", settings=("axes",))
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Products summed over axes: the last n of x1 and first n of x2, or two lists of axes."""
    a, b = promoted((x1, x2))
    if isinstance(axes, int):
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        pairs = [list(part) if isinstance(part, (list, tuple)) else [part] for part in axes]
        left, right = [one_axis(i, a.ndim) for i in pairs[0]], [one_axis(i, b.ndim) for i in pairs[1]]
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ValueError(f"tensordot() cannot join axes {axes} of shapes {a.shape} and {b.shape}.")
    keep_a = [i for i in range(a.ndim) if i not in left]
    keep_b = [i for i in range(b.ndim) if i not in right]
    inner = math.prod(a.shape[i] for i in left)
    rows, columns = math.prod(a.shape[i] for i in keep_a), math.prod(b.shape[i] for i in keep_b)
    first = shaping.reshape(_ordered(a, keep_a + left), shape=(rows, inner))
    second = shaping.reshape(_ordered(b, right + keep_b), shape=(inner, columns))
    lengths = tuple(a.shape[i] for i in keep_a) + tuple(b.shape[i] for i in keep_b)
    return shaping.reshape(linear.matmul(first, second), shape=lengths)


def _ordered(x: Any, order: Sequence[int]) -> Any:
    return x if list(order) == list(range(x.ndim)) else shaping.transpose(x, axes=tuple(order))


@operation("numpy", "Dot")
def dot(x1: Any, x2: Any) -> Any:
    """NumPy's dot: the sum over x1's last and x2's second to last axis; scalars multiply."""
    a, b = promoted((x1, x2))
    if a.ndim == 0 or b.ndim == 0:
        return e.multiply(a, b)
    return tensordot(a, b, [[a.ndim - 1], [max(b.ndim - 2, 0)]])


@operation("numpy", "Outer")
def outer(x1: Any, x2: Any) -> Any:
    """Every entry of x1 times every entry of x2, both flattened: (n, m)."""
    return e.multiply(shaping.reshape(as_value(x1), shape=(-1, 1)), shaping.reshape(as_value(x2), shape=(1, -1)))
