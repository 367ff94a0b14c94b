"""Elementwise ops: arithmetic, comparison, logic, functions of one value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.dtypes import as_dtype, is_float, result_type
from engine.ops.declare import operation
from engine.primitives import casting, indexing, inverses
from engine.primitives import elementwise as e
from engine.primitives.activations import erf as _erf
from engine.primitives.apply import as_value


def floating(x: Any) -> Any:
    """An operand as a float tensor: integers and bools take the default float type."""
    value = as_value(x)
    return value if is_float(value.dtype) else casting.cast(value, dtype=as_dtype(None).name)


def _unary(name: str, function: Callable[[Any], Any], convert: Callable[[Any], Any] = floating) -> Any:
    def run(x: Any) -> Any:
        return function(convert(x))

    run.__name__ = run.__qualname__ = name.lower()
    run.__doc__ = f"{name.lower()} of each entry, as `keras.ops.{name.lower()}`."
    return operation("numpy", name)(run)


def _binary(name: str, function: Callable[[Any, Any], Any], snake: str | None = None) -> Any:
    def run(x1: Any, x2: Any) -> Any:
        return function(x1, x2)

    run.__name__ = run.__qualname__ = snake or name.lower()
    run.__doc__ = f"{run.__name__} entry by entry; operands broadcast and take their common dtype."
    return operation("numpy", name)(run)


# Arithmetic ----------------------------------------------------------------------------------------------------------

add = _binary("Add", e.add)
subtract = _binary("Subtract", e.subtract)
multiply = _binary("Multiply", e.multiply)
divide = _binary("Divide", e.divide)
true_divide = _binary("TrueDivide", e.divide, "true_divide")
floor_divide = _binary("FloorDivide", e.floor_divide, "floor_divide")
mod = _binary("Mod", e.mod)
power = _binary("Power", e.power)
maximum = _binary("Maximum", e.maximum)
minimum = _binary("Minimum", e.minimum)


@operation("numpy", "DivideNoNan")
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """x1 / x2, and 0 where x2 is 0."""
    empty = e.equal(x2, 0)
    return e.where(empty, 0, e.divide(x1, e.where(empty, 1, x2)))


@operation("numpy", "Logaddexp")
def logaddexp(x1: Any, x2: Any) -> Any:
    """log(exp(x1) + exp(x2)), without overflow."""
    x1, x2 = floating(x1), floating(x2)
    return e.add(e.maximum(x1, x2), e.log1p(e.exp(e.negative(e.absolute(e.subtract(x1, x2))))))


@operation("numpy", "Hypot")
def hypot(x1: Any, x2: Any) -> Any:
    """The square root of x1² + x2²."""
    return e.sqrt(e.add(e.square(floating(x1)), e.square(floating(x2))))


# Comparison and logic ------------------------------------------------------------------------------------------------

equal = _binary("Equal", e.equal)
not_equal = _binary("NotEqual", e.not_equal, "not_equal")
greater = _binary("Greater", e.greater)
greater_equal = _binary("GreaterEqual", e.greater_equal, "greater_equal")
less = _binary("Less", e.less)
less_equal = _binary("LessEqual", e.less_equal, "less_equal")


def boolean(x: Any) -> Any:
    """An operand as a bool tensor: true where it is not zero."""
    value = as_value(x)
    return value if value.dtype == np.bool_ else e.not_equal(value, 0)


logical_and = _binary("LogicalAnd", lambda a, b: e.logical_and(boolean(a), boolean(b)), "logical_and")
logical_or = _binary("LogicalOr", lambda a, b: e.logical_or(boolean(a), boolean(b)), "logical_or")
logical_xor = _binary("LogicalXor", lambda a, b: e.not_equal(boolean(a), boolean(b)), "logical_xor")


@operation("numpy", "LogicalNot")
def logical_not(x: Any) -> Any:
    """True where x is zero."""
    return e.logical_not(boolean(x))


isnan = _unary("Isnan", e.isnan)
isfinite = _unary("Isfinite", e.isfinite)
isinf = _unary("Isinf", lambda x: e.equal(e.absolute(x), math.inf))


@operation("numpy", "Isclose", settings=("equal_nan",))
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether |x1 - x2| <= atol + rtol |x2|, entry by entry."""
    x1, x2 = floating(x1), floating(x2)
    near = e.less_equal(e.absolute(e.subtract(x1, x2)), e.add(e.multiply(e.absolute(x2), rtol), atol))
    near = e.logical_or(e.logical_and(near, e.isfinite(x2)), e.equal(x1, x2))
    return e.logical_or(near, e.logical_and(e.isnan(x1), e.isnan(x2))) if equal_nan else near


@operation("numpy", "Where")
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition holds, else x2."""
    if x1 is None or x2 is None:
        raise ValueError("where() needs both `x1` and `x2`: positions of true entries have no fixed shape.")
    return e.where(condition, x1, x2)


# Functions of one value ----------------------------------------------------------------------------------------------

negative = _unary("Negative", e.negative, as_value)
absolute = _unary("Absolute", e.absolute, as_value)
abs = _unary("Abs", e.absolute, as_value)
sign = _unary("Sign", e.sign, as_value)
square = _unary("Square", e.square, lambda x: _counting(x))
exp = _unary("Exp", e.exp)
expm1 = _unary("Expm1", e.expm1)
log = _unary("Log", e.log)
log1p = _unary("Log1p", e.log1p)
log2 = _unary("Log2", lambda x: e.divide(e.log(x), math.log(2.0)))
log10 = _unary("Log10", lambda x: e.divide(e.log(x), math.log(10.0)))
sqrt = _unary("Sqrt", e.sqrt)
reciprocal = _unary("Reciprocal", lambda x: e.divide(1.0, x))
sin = _unary("Sin", e.sin)
cos = _unary("Cos", e.cos)
tan = _unary("Tan", lambda x: e.divide(e.sin(x), e.cos(x)))
tanh = _unary("Tanh", e.tanh)
sinh = _unary("Sinh", lambda x: e.multiply(e.subtract(e.expm1(x), e.expm1(e.negative(x))), 0.5))
cosh = _unary("Cosh", lambda x: e.multiply(e.add(e.exp(x), e.exp(e.negative(x))), 0.5))
arcsin = _unary("Arcsin", inverses.arcsin)
arccos = _unary("Arccos", inverses.arccos)
arctan = _unary("Arctan", inverses.arctan)
arcsinh = _unary("Arcsinh", inverses.arcsinh)
arccosh = _unary("Arccosh", inverses.arccosh)
arctanh = _unary("Arctanh", inverses.arctanh)
floor = _unary("Floor", e.floor)
ceil = _unary("Ceil", e.ceil)


def _counting(x: Any) -> Any:
    """An operand with bools as int32."""
    value = as_value(x)
    return casting.cast(value, dtype="int32") if value.dtype == np.bool_ else value


@operation("math", "Rsqrt")
def rsqrt(x: Any) -> Any:
    """1 / √x."""
    return e.divide(1.0, e.sqrt(floating(x)))


@operation("math", "Erf")
def erf(x: Any) -> Any:
    """The Gauss error function."""
    return _erf(floating(x))


@operation("numpy", "Round", settings=("decimals",))
def round(x: Any, decimals: int = 0) -> Any:
    """The nearest number with so many decimals; halves go to the even one."""
    value = as_value(x)
    if decimals == 0:
        return value if not is_float(value.dtype) else e.rint(value)
    scale = 10.0**decimals
    return casting.cast(e.divide(e.rint(e.multiply(floating(value), scale)), scale), dtype=value.dtype.name)


@operation("numpy", "Clip", settings=("x_min", "x_max"))
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """x limited to [x_min, x_max]."""
    value = _counting(x)
    scalars = [type(bound) for bound in (x_min, x_max)]
    if all(kind in (int, float) for kind in scalars):
        dtype = result_type(value.dtype, *scalars)
        value = value if value.dtype == dtype else casting.cast(value, dtype=dtype.name)
        return indexing.clip(value, minimum=x_min, maximum=x_max)
    return e.minimum(e.maximum(value, x_min), x_max)


@operation("numpy", "NanToNum", settings=("nan", "posinf", "neginf"))
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """NaN and infinities replaced by numbers; infinities by the largest ones of the dtype where none are given."""
    value = as_value(x)
    if not is_float(value.dtype):
        return value
    from ml_dtypes import finfo

    largest = float(finfo(value.dtype).max)
    value = e.where(e.isnan(value), nan, value)
    value = e.where(e.equal(value, math.inf), largest if posinf is None else posinf, value)
    return e.where(e.equal(value, -math.inf), -largest if neginf is None else neginf, value)


# Dtypes and conversion -----------------------------------------------------------------------------------------------


@operation("core", "Cast", settings=("dtype",))
def cast(x: Any, dtype: Any) -> Any:
    """x in another dtype."""
    value, wanted = as_value(x), as_dtype(dtype)
    return value if value.dtype == wanted else casting.cast(value, dtype=wanted.name)


@operation("core", "StopGradient")
def stop_gradient(variable: Any) -> Any:
    """The same values, through which no gradient passes."""
    return casting.stop_gradient(variable)
