"""Ops on the bits of integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.ops.declare import operation
from engine.primitives import bits


def _binary(name: str, snake: str, function: Callable[[Any, Any], Any]) -> Any:
    def run(x: Any, y: Any) -> Any:
        return function(x, y)

    run.__name__ = run.__qualname__ = snake
    run.__doc__ = f"{snake} of integers, entry by entry; operands broadcast and take their common dtype."
    return operation("numpy", name)(run)


bitwise_and = _binary("BitwiseAnd", "bitwise_and", bits.bitwise_and)
bitwise_or = _binary("BitwiseOr", "bitwise_or", bits.bitwise_or)
bitwise_xor = _binary("BitwiseXor", "bitwise_xor", bits.bitwise_xor)
left_shift = _binary("LeftShift", "left_shift", bits.left_shift)
right_shift = _binary("RightShift", "right_shift", bits.right_shift)
bitwise_left_shift = _binary("BitwiseLeftShift", "bitwise_left_shift", bits.left_shift)
bitwise_right_shift = _binary("BitwiseRightShift", "bitwise_right_shift", bits.right_shift)


@operation("numpy", "BitwiseNot")
def bitwise_not(x: Any) -> Any:
    """Every bit the other way round."""
    return bits.bitwise_not(x)


@operation("numpy", "BitwiseInvert")
def bitwise_invert(x: Any) -> Any:
    """Every bit the other way round."""
    return bits.bitwise_not(x)
