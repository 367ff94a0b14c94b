"""Nodes of TensorFlow graphs that tf.keras 1.13 to 2.3 kept as layers (`TensorFlowOpLayer`), as calls of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.saving.legacy.function_table import FUNCTIONS

_NAMED: dict[str, str] = {
    "Abs": "math.abs",
    "Add": "math.add",
    "AddV2": "math.add",
    "BatchMatMul": "linalg.matmul",
    "BatchMatMulV2": "linalg.matmul",
    "BiasAdd": "nn.bias_add",
    "Ceil": "math.ceil",
    "Cos": "math.cos",
    "DivNoNan": "math.divide_no_nan",
    "Elu": "nn.elu",
    "Equal": "math.equal",
    "Erf": "math.erf",
    "Exp": "math.exp",
    "Floor": "math.floor",
    "FloorDiv": "math.floordiv",
    "FloorMod": "math.floormod",
    "Greater": "math.greater",
    "GreaterEqual": "math.greater_equal",
    "Identity": "identity",
    "Less": "math.less",
    "LessEqual": "math.less_equal",
    "Log": "math.log",
    "Log1p": "math.log1p",
    "LogSoftmax": "nn.log_softmax",
    "LogicalAnd": "math.logical_and",
    "LogicalNot": "math.logical_not",
    "LogicalOr": "math.logical_or",
    "Maximum": "math.maximum",
    "Minimum": "math.minimum",
    "Mul": "math.multiply",
    "Neg": "math.negative",
    "NotEqual": "math.not_equal",
    "Pow": "math.pow",
    "RealDiv": "math.truediv",
    "Reciprocal": "math.reciprocal",
    "Relu": "nn.relu",
    "Relu6": "nn.relu6",
    "Reshape": "reshape",
    "Round": "math.round",
    "Rsqrt": "math.rsqrt",
    "Select": "where",
    "SelectV2": "where",
    "Selu": "nn.selu",
    "Sigmoid": "math.sigmoid",
    "Sign": "math.sign",
    "Sin": "math.sin",
    "Softmax": "nn.softmax",
    "Softplus": "nn.softplus",
    "Softsign": "nn.softsign",
    "Sqrt": "math.sqrt",
    "Square": "math.square",
    "SquaredDifference": "math.squared_difference",
    "StopGradient": "stop_gradient",
    "Sub": "math.subtract",
    "Tan": "math.tan",
    "Tanh": "math.tanh",
    "Tile": "tile",
    "Transpose": "transpose",
}
"""Nodes whose inputs are a function's arguments in its order."""
_REDUCTIONS = {
    "All": "all",
    "Any": "any",
    "Max": "max",
    "Mean": "mean",
    "Min": "min",
    "Prod": "prod",
    "Sum": "sum",
}
_TYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BFLOAT16": "bfloat16"} | {
    f"DT_{name.upper()}": name for name in ("bool", "int8", "int16", "int32", "int64", "uint8")
}


def function_of_node(node: dict[str, Any], constants: dict[str, Any]) -> Callable[..., Any]:
    """What to call on the tensors among the node's inputs.

    Args:
        node: with "op" and "attr".
        constants: by number, as text, the inputs that are no tensors.

    Raises:
        ValueError: a kind of node that is not known.
    """
    operation = node.get("op")
    if not isinstance(operation, str) or operation not in {**_NAMED, **_REDUCTIONS, **_SPECIAL}:
        raise ValueError(f"The model holds a node {operation!r} of a TensorFlow graph, which is not supported.")
    attributes = node.get("attr") if isinstance(node.get("attr"), dict) else {}

    def follow(tensors: Any) -> Any:
        inputs = _with_constants(tensors, constants)
        if operation in _SPECIAL:
            return _SPECIAL[operation](inputs, attributes)
        if operation in _REDUCTIONS:
            keep = _flag(attributes, "keep_dims")
            return FUNCTIONS[f"math.reduce_{_REDUCTIONS[operation]}"](inputs[0], _index_or_list(inputs[1]), keep)
        options = {}
        if operation.startswith("BatchMatMul"):
            options = {"transpose_a": _flag(attributes, "adj_x"), "transpose_b": _flag(attributes, "adj_y")}
        return FUNCTIONS[_NAMED[operation]](*inputs, **options)

    return follow


def _with_constants(tensors: Any, constants: dict[str, Any]) -> list[Any]:
    """All inputs in their order."""
    waiting = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
    inputs: list[Any] = []
    for number in range(len(waiting) + len(constants)):
        if str(number) in constants:
            inputs.append(constants[str(number)])
        elif waiting:
            inputs.append(waiting.pop(0))
        else:
            raise ValueError(f"Input {number} of a node of a TensorFlow graph is missing.")
    return inputs


def _flag(attributes: Any, name: str) -> bool:
    value = attributes.get(name)
    return isinstance(value, dict) and bool(value.get("b"))


def _number(attributes: Any, name: str) -> int:
    value = attributes.get(name)
    return int(value.get("i", 0)) if isinstance(value, dict) else 0


def _numbers(attributes: Any, name: str) -> list[int]:
    value = attributes.get(name)
    listed = value.get("list", {}).get("i", []) if isinstance(value, dict) else []
    return [int(item) for item in listed]


def _index_or_list(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _cast(inputs: list[Any], attributes: Any) -> Any:
    kind = attributes.get("DstT", {}).get("type")
    if kind not in _TYPES:
        raise ValueError(f"A cast to {kind!r} is not supported.")
    return FUNCTIONS["cast"](inputs[0], _TYPES[kind])


def _matmul(inputs: list[Any], attributes: Any) -> Any:
    a, b = inputs
    return FUNCTIONS["linalg.matmul"](a, b, _flag(attributes, "transpose_a"), _flag(attributes, "transpose_b"))


def _resize(method: str) -> Callable[[list[Any], Any], Any]:
    def follow(inputs: list[Any], attributes: Any) -> Any:
        if not _flag(attributes, "half_pixel_centers"):
            raise ValueError("Resizing without half pixel centers is not supported.")
        return FUNCTIONS["image.resize"](inputs[0], inputs[1], method=method)

    return follow


def _strided_slice(inputs: list[Any], attributes: Any) -> Any:
    tensor, begin, end, strides = inputs
    masks = {
        name: _number(attributes, f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    key: list[Any] = []
    for place, (start, stop, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            key.append({"class_name": "__ellipsis__"})
        elif masks["new_axis"] & bit:
            key.append(None)
        elif masks["shrink_axis"] & bit:
            key.append(start)
        else:
            first, last = (None if masks["begin"] & bit else start), (None if masks["end"] & bit else stop)
            key.append({"start": first, "stop": last, "step": step})
    return FUNCTIONS["__operators__.getitem"](tensor, key)


_SPECIAL: dict[str, Callable[[list[Any], Any], Any]] = {
    "Cast": _cast,
    "ConcatV2": lambda inputs, attributes: FUNCTIONS["concat"](inputs[:-1], inputs[-1]),
    "ExpandDims": lambda inputs, attributes: FUNCTIONS["expand_dims"](inputs[0], _index_or_list(inputs[1])),
    "MatMul": _matmul,
    "Pack": lambda inputs, attributes: FUNCTIONS["stack"](inputs, _number(attributes, "axis")),
    "Pad": lambda inputs, attributes: FUNCTIONS["pad"](inputs[0], inputs[1]),
    "ResizeBilinear": _resize("bilinear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "Shape": lambda inputs, attributes: FUNCTIONS["shape"](inputs[0]),
    "Squeeze": lambda inputs, attributes: FUNCTIONS["squeeze"](
        inputs[0], axis=_numbers(attributes, "squeeze_dims") or None
    ),
    "StridedSlice": _strided_slice,
}
