"""Sizes: lengths of axes that are known only when the model runs, in the arithmetic that files do with shapes.

A size is linear in one free length: `factor · symbol + offset`. Arrays of dtype object hold sizes beside integers, and
NumPy's own functions compute with them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any


class UnknownSizeError(ValueError):
    """Shape arithmetic met a length that cannot be said before the model runs."""


class Size:
    """A free length, or a linear function of one.

    Args:
        symbol: the free length's name.
        factor, offset: the size is factor · symbol + offset.
    """

    __slots__ = ("factor", "offset", "symbol")

    def __init__(self, symbol: str, factor: int = 1, offset: int = 0) -> None:
        self.symbol = symbol
        self.factor = factor
        self.offset = offset

    def _made(self, factor: Fraction, offset: Fraction) -> Any:
        if factor.denominator != 1 or offset.denominator != 1:
            raise UnknownSizeError(f"{self!r} is not divided evenly in the file's arithmetic with shapes")
        return Size(self.symbol, int(factor), int(offset)) if factor else int(offset)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Size):
            if other.symbol != self.symbol:
                raise UnknownSizeError(f"the sum of {self!r} and {other!r} depends on two free lengths")
            return self._made(Fraction(self.factor + other.factor), Fraction(self.offset + other.offset))
        return self._made(Fraction(self.factor), Fraction(self.offset) + Fraction(other))

    __radd__ = __add__

    def __neg__(self) -> Any:
        return Size(self.symbol, -self.factor, -self.offset)

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Size):
            raise UnknownSizeError(f"the product of {self!r} and {other!r} is not linear")
        return self._made(self.factor * Fraction(other), self.offset * Fraction(other))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, Size):
            if (other.symbol, other.offset, self.offset) == (self.symbol, 0, 0) and self.factor % other.factor == 0:
                return self.factor // other.factor
            raise UnknownSizeError(f"the quotient of {self!r} and {other!r} is not known")
        return self._made(Fraction(self.factor) / Fraction(other), Fraction(self.offset) / Fraction(other))

    __truediv__ = __floordiv__

    def __rfloordiv__(self, other: Any) -> Any:
        raise UnknownSizeError(f"{other} divided by {self!r} is not known")

    __rtruediv__ = __rfloordiv__

    def __mod__(self, other: Any) -> Any:
        if isinstance(other, Size) or self.factor % other:
            raise UnknownSizeError(f"the remainder of {self!r} by {other} is not known")
        return self.offset % other

    def __eq__(self, other: object) -> bool:
        """Two sizes are equal where they always are. A free length is never equal to a number."""
        if not isinstance(other, Size):
            return False
        return (self.symbol, self.factor, self.offset) == (other.symbol, other.factor, other.offset)

    def __hash__(self) -> int:
        return hash((self.symbol, self.factor, self.offset))

    def _order(self, other: Any) -> bool:
        raise UnknownSizeError(f"whether {self!r} or {other!r} is larger is not known")

    __lt__ = __le__ = __gt__ = __ge__ = _order

    def __int__(self) -> int:
        raise UnknownSizeError(f"{self!r} is known only when the model runs, but a number is needed")

    __index__ = __float__ = __bool__ = __int__

    def __repr__(self) -> str:
        factor = "" if self.factor == 1 else f"{self.factor}·"
        return f"{factor}{self.symbol}{f'{self.offset:+d}' if self.offset else ''}"


Length = int | Size
Shape = tuple[Length, ...]
