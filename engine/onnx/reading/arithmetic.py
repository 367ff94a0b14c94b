"""Arithmetic on two or more tensors that broadcast against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import layers, ops
from engine.layers.extensions import ConstantOperand
from engine.onnx.axes import Order, same
from engine.onnx.reading.builder import Builder, policy
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import operator
from engine.onnx.reading.value import Value


def aligned(builder: Builder, values: Sequence[Value]) -> tuple[list[Any], Order, NDArray[np.intp] | None]:
    """Operands that broadcast as the file's tensors do, in one order.

    Returns:
        Placeholders, and arrays for constants; the order of the result; its columns where they lie elsewhere.
    """
    rank = max(value.rank for value in values)
    running = [value for value in values if not value.is_constant]
    leader = max(running, key=lambda value: value.rank) if running else values[0]
    order = leader.order if leader.rank == rank else same(rank)
    columns = leader.columns
    if columns is not None and not all(_keeps_columns(value, columns) for value in values):
        columns = None
    operands: list[Any] = []
    for value in values:
        if value.is_constant:
            operands.append(_arranged_constant(value, order, columns))
            continue
        if value.rank == rank:
            operands.append(value.tensor if columns is not None else builder.arranged(value, order))
            continue
        missing = rank - value.rank  # new axes come first in the file, and lie where the order has them
        tensor = builder.as_file(value)
        tensor = builder.reshaped(tensor, (*(1,) * missing, *builder.shape(value))) if missing else tensor
        operands.append(builder.arranged(Value(value.name, tensor), order))
    return operands, order, columns


def _keeps_columns(value: Value, columns: NDArray[np.intp]) -> bool:
    if value.is_constant:
        return value.rank <= 2 and (value.rank == 0 or value.static_shape[-1] in (1, len(columns)))
    return value.columns is not None and np.array_equal(value.columns, columns)


def _arranged_constant(value: Value, order: Order, columns: NDArray[np.intp] | None) -> NDArray[Any]:
    assert value.constant is not None
    array = value.constant
    if array.dtype == object:
        raise ValueError(f"{value.name!r} holds free lengths, which cannot be computed with when the model runs")
    if columns is not None and array.ndim and array.shape[-1] > 1:
        array = array[..., columns]
    array = array.reshape((1,) * (len(order) - array.ndim) + array.shape).transpose(order)
    while array.ndim and array.shape[0] == 1:
        array = array.reshape(array.shape[1:])
    return array


def combined(builder: Builder, function: str, left: Any, right: Any) -> Any:
    """`ops.<function>(left, right)` of placeholders, or of a placeholder and a constant array."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        constant, is_first = (left, True) if isinstance(left, np.ndarray) else (right, False)
        running = right if is_first else left
        if constant.ndim == 0 and constant.dtype.kind in "fiub":
            number = constant.item()
            return getattr(ops, function)(number, right) if is_first else getattr(ops, function)(left, number)
        layer = ConstantOperand(
            function, constant.shape, is_first, constant.dtype.name, name=builder.name(), dtype=policy(running.dtype)
        )
        return builder.layer(layer, running, weights=[constant])
    return getattr(ops, function)(left, right)


def pairwise(builder: Builder, function: str, left: Value, right: Value) -> Value:
    """A function of two broadcast values."""
    (first, second), order, columns = aligned(builder, [left, right])
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return Value("", getattr(ops, function)(left.tensor, right.tensor))
    merge = _MERGES.get(function)
    is_constant = isinstance(first, np.ndarray) or isinstance(second, np.ndarray)
    if merge is not None and not is_constant and first.shape and first.shape[0] == second.shape[0]:
        tensor = merge(name=builder.name(), dtype=policy(first.dtype))([first, second])
    else:
        tensor = combined(builder, function, first, second)
    return Value("", tensor, order, columns=columns)


_MERGES: dict[str, Any] = {"add": layers.Add, "multiply": layers.Multiply}


def together(
    builder: Builder, values: Sequence[Value], weak: bool = True
) -> tuple[list[Any], Order, NDArray[np.intp] | None]:
    """Operands of a function of several, as `aligned` gives them, but with constants as tensors of the network.

    Args:
        weak: constants of no axes are Python's numbers, which take the dtype of their partners.
    """
    if all(value.is_constant for value in values):
        return [value.tensor for value in values], same(max(value.rank for value in values)), None
    operands, order, columns = aligned(builder, values)
    running = next(operand for operand in operands if not isinstance(operand, np.ndarray))
    tensors = []
    for operand in operands:
        if not isinstance(operand, np.ndarray):
            tensors.append(operand)
        elif weak and operand.ndim == 0 and operand.dtype.kind in "fiub":
            tensors.append(operand.item())
        else:
            tensors.append(builder.held(operand, running))
    return tensors, order, columns


def in_file_order(builder: Builder, values: Sequence[Value]) -> list[Any]:
    """Operands with their axes as in the file, constants as tensors of the network where another one runs."""
    running = [value for value in values if not value.is_constant]
    if not running:
        return [value.tensor for value in values]
    near = running[0].tensor
    return [
        builder.as_file(value) if value.constant is None else builder.held(value.constant, near) for value in values
    ]


def refuse_old_broadcasting(node: Node) -> None:
    """Refuses what broadcasting was before version 7."""
    if node.get("broadcast", 0) or node.get("axis") is not None:
        node.refuse("broadcasting by the attributes 'axis' and 'broadcast' of versions before 7 is not supported")


def _pairwise(function: str) -> Callable[[Builder, Node], Value]:
    def rule(builder: Builder, node: Node) -> Value:
        refuse_old_broadcasting(node)
        return pairwise(builder, function, node[0], node[1])

    return rule


for _operator, _function in {
    "Add": "add", "Sub": "subtract", "Mul": "multiply", "And": "logical_and", "Or": "logical_or", "Xor": "logical_xor",
    "Equal": "equal", "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less",
    "LessOrEqual": "less_equal", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor",
}.items():  # fmt: skip
    operator(_operator)(_pairwise(_function))


@operator("BitShift")
def bit_shift(builder: Builder, node: Node) -> Value:
    """ONNX's BitShift: bits of unsigned integers moved to the left or to the right."""
    functions = {"LEFT": "left_shift", "RIGHT": "right_shift"}
    if node.get("direction") not in functions:
        raise ValueError(f"its direction is {node.get('direction')!r}; expected LEFT or RIGHT")
    return pairwise(builder, functions[node.get("direction")], node[0], node[1])


# Division and powers -------------------------------------------------------------------------------------------------


@operator("Div")
def divide(builder: Builder, node: Node) -> Value:
    """ONNX's Div: of integers, what remains is cut off, towards zero."""
    refuse_old_broadcasting(node)
    if node[0].dtype.kind not in "iu":
        return pairwise(builder, "divide", node[0], node[1])
    (left, right), order, columns = together(builder, node.inputs)  # type: ignore[arg-type]
    quotient = ops.floor_divide(left, right)
    if node[0].dtype.kind == "i":
        is_negative = ops.not_equal(ops.less(left, 0), ops.less(right, 0))
        is_cut = ops.logical_and(is_negative, ops.not_equal(ops.multiply(quotient, right), left))
        quotient = ops.where(is_cut, ops.add(quotient, 1), quotient)
    return Value("", quotient, order, columns=columns)


@operator("Mod")
def modulo(builder: Builder, node: Node) -> Value:
    """ONNX's Mod: the remainder with the divisor's sign, or with the dividend's (C's fmod)."""
    kind = node[0].dtype.kind
    if not node.get("fmod", 0):
        return pairwise(builder, "mod", node[0], node[1])
    (left, right), order, columns = together(builder, node.inputs)  # type: ignore[arg-type]
    if kind in "iu":
        found = ops.mod(left, right)
        is_other = ops.logical_and(ops.not_equal(found, 0), ops.not_equal(ops.less(left, 0), ops.less(found, 0)))
        found = ops.where(is_other, ops.subtract(found, right), found) if kind == "i" else found
    else:
        found = ops.multiply(ops.sign(left), ops.mod(ops.absolute(left), ops.absolute(right)))
    return Value("", found, order, columns=columns)


@operator("Pow")
def power(builder: Builder, node: Node) -> Value:
    """ONNX's Pow: in the dtype of the base, whatever the exponent's is."""
    refuse_old_broadcasting(node)
    base, exponent = node[0], node[1]
    if exponent.constant is not None and exponent.constant.size == 1 and exponent.rank <= base.rank:
        number = exponent.constant.item()
        if number in (1, 2) or (number == 0.5 and base.dtype.kind == "f"):
            function = {1: lambda tensor: tensor, 2: ops.square, 0.5: ops.sqrt}[number]
            return builder.unary(base, function)
    if exponent.constant is not None and base.dtype.kind == "f":
        exponent = Value(exponent.name, constant=exponent.constant.astype(base.dtype))
    (first, second), order, columns = together(builder, [base, exponent])
    found = ops.power(first, second)
    return Value("", ops.cast(found, base.dtype.name), order, columns=columns)


# Of any number of operands -------------------------------------------------------------------------------------------


def _of_many(function: str) -> Callable[[Builder, Node], Value]:
    def rule(builder: Builder, node: Node) -> Value:
        values = [node[index] for index in range(len(node))]
        constants = [value for value in values if value.is_constant]
        found = [value for value in values if not value.is_constant]
        if len(constants) > 1 and found:  # these are one constant, whatever the order
            merged = constants[0].tensor
            for value in constants[1:]:
                merged = getattr(ops, function)(merged, value.tensor)
            constants = [Value(constants[0].name, constant=np.asarray(merged))]
        found += constants
        result = found[0] if len(found) > 1 else builder.unary(found[0], lambda tensor: tensor)
        for value in found[1:]:
            result = pairwise(builder, function, result, value)
        if node.operator == "Mean" and len(values) > 1:
            result = builder.unary(result, lambda tensor: ops.divide(tensor, float(len(values))))
        return result

    return rule


for _operator, _function in {"Max": "maximum", "Min": "minimum", "Sum": "add", "Mean": "add"}.items():
    operator(_operator)(_of_many(_function))


# Selection -----------------------------------------------------------------------------------------------------------


@operator("Where")
def where(builder: Builder, node: Node) -> Value:
    """ONNX's Where: of two values, by a condition."""
    values = [node[0], node[1], node[2]]
    weak = not (node[1].is_constant and node[2].is_constant)
    (condition, left, right), order, columns = together(builder, values, weak)
    return Value("", ops.where(condition, left, right), order, columns=columns)
