"""Clipping of gradients: by value, by each one's norm, by the norm of all together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops


def clipped(
    gradients: Sequence[Any], norm: float | None = None, value: float | None = None, global_norm: float | None = None
) -> list[Any]:
    """The gradients within a bound.

    Args:
        norm: each gradient is scaled down to this Euclidean norm.
        value: each entry is brought into -value..value.
        global_norm: all gradients are scaled down together to this norm of their concatenation.
    """
    if norm is not None and norm > 0:
        return [_scaled(gradient, norm, ops.sum(ops.square(gradient))) for gradient in gradients]
    if global_norm is not None and global_norm > 0:
        squares = sum(ops.sum(ops.square(gradient)) for gradient in gradients)
        return [_scaled(gradient, global_norm, squares) for gradient in gradients]
    if value is not None and value > 0:
        return [ops.clip(gradient, -value, value) for gradient in gradients]
    return list(gradients)


def _scaled(gradient: Any, bound: float, squares: Any) -> Any:
    return gradient * (bound / ops.maximum(ops.sqrt(squares), bound))
