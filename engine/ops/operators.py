"""Installs Python's operators and indexing on `KerasTensor`: each records the op of its name."""

from __future__ import annotations

from typing import Any

from engine.ops import elementwise as e
from engine.ops import indexing, linear
from engine.ops.keras_tensor import KerasTensor

_BOTH_SIDES = {
    "add": e.add,
    "sub": e.subtract,
    "mul": e.multiply,
    "truediv": e.true_divide,
    "floordiv": e.floor_divide,
    "mod": e.mod,
    "pow": e.power,
    "matmul": linear.matmul,
    "and": e.logical_and,
    "or": e.logical_or,
    "xor": e.logical_xor,
}
_ONE_SIDE = {
    "eq": e.equal,
    "ne": e.not_equal,
    "lt": e.less,
    "le": e.less_equal,
    "gt": e.greater,
    "ge": e.greater_equal,
    "getitem": indexing.get_item,
}
_UNARY = {"neg": e.negative, "abs": e.absolute, "invert": e.logical_not}


def _install() -> None:
    def forward(function: Any) -> Any:
        return lambda self, other: function(self, other)

    def backward(function: Any) -> Any:
        return lambda self, other: function(other, self)

    def alone(function: Any) -> Any:
        return lambda self: function(self)

    for name, function in _BOTH_SIDES.items():
        setattr(KerasTensor, f"__{name}__", forward(function))
        setattr(KerasTensor, f"__r{name}__", backward(function))
    for name, function in _ONE_SIDE.items():
        setattr(KerasTensor, f"__{name}__", forward(function))
    for name, function in _UNARY.items():
        setattr(KerasTensor, f"__{name}__", alone(function))
    KerasTensor.__hash__ = lambda self: id(self)  # type: ignore[method-assign]


_install()
