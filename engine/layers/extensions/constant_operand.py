"""ConstantOperand: a function of the inputs and of an array that belongs to the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.layers.extensions.constant_values import ConstantValues
from engine.registry import registered

FUNCTIONS = (
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "maximum",
    "minimum",
    "matmul",
    "mod",
    "equal",
    "not_equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "left_shift",
    "right_shift",
    "prelu",
)
"""Names of `engine.ops` functions of two operands (and "prelu": x where positive, constant · x elsewhere)."""


@registered("beagle.layers")
class ConstantOperand(ConstantValues):
    """function(inputs, constant), or function(constant, inputs).

    Args:
        function: one of `FUNCTIONS`.
        shape: of the constant; it broadcasts against the inputs as NumPy's arrays do.
        is_first: whether the constant is the first operand.
        constant_dtype: of the constant; floats are trained with the network, others stay.
    """

    _config_attributes = ("function", "shape", "is_first", "constant_dtype")

    def __init__(
        self,
        function: str,
        shape: Sequence[int],
        is_first: bool = False,
        constant_dtype: str = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(shape, constant_dtype, **kwargs)
        if function not in FUNCTIONS:
            raise ValueError(
                f"Layer {self.name!r}: `function` must be one of {', '.join(FUNCTIONS)}. Received: {function!r}"
            )
        self.function = function
        self.is_first = bool(is_first)

    def call(self, inputs: Any) -> Any:
        if self.function == "prelu":
            return ops.where(inputs > 0, inputs, inputs * self.constant)
        function = getattr(ops, self.function)
        return function(self.constant, inputs) if self.is_first else function(inputs, self.constant)
