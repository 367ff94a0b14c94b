"""Edits of ONNX files as messages: numbers, names, shapes, types, wires and constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from engine.onnx.reading.operators import known_operators
from tests.engine.fuzz.edits import Edit, chosen

INTEGERS = (
    0, 1, -1, 2, 3, 5, 7, -2, 16, 255, 1000, 65536, 10**6, 10**9, (1 << 31) - 1, 1 << 31, -(1 << 31), 1 << 40, 10**15,
    (1 << 62) + 1, (1 << 63) - 1, -(1 << 63),
)  # fmt: skip
_FLOATS = (0.0, -1.0, 0.5, 1e-30, 3e38, 1e6, 1e9, math.nan, math.inf, -math.inf)
_TEXTS = (
    "",
    "x",
    "SAME_UPPER",
    "SAME_LOWER",
    "VALID",
    "NOTSET",
    "linear",
    "cubic",
    "../../etc/passwd",
    "bidirectional",
)
_OPERATORS = tuple(known_operators())

Field = Any
Site = tuple[Any, Field, int | None]
"""A message, one of its fields, and which of its entries."""


def _sites(message: Any) -> list[Site]:
    """Every set field of a message and of those in it."""
    found: list[Site] = []
    waiting = [message]
    while waiting and len(found) < 50_000:
        item = waiting.pop()
        for field, value in item.ListFields():
            if not field.is_repeated:
                found.append((item, field, None))
                waiting += [value] if field.message_type else []
            else:
                found += [(item, field, index) for index in range(min(len(value), 50))]
                waiting += value if field.message_type else []
    return found


def _scalar(field: Field, old: Any, choice: int) -> Any:
    if isinstance(old, bytes):
        return chosen((b"", old[: len(old) // 2], old + b"\0", b"\xff" * len(old), b"NOTSET"), choice)
    if isinstance(old, str):
        return chosen(_TEXTS, choice)
    if isinstance(old, float):
        return chosen(_FLOATS, choice)
    return chosen(INTEGERS, choice)


def _set(site: Site, value: Any) -> None:
    message, field, index = site
    try:
        if index is None:
            setattr(message, field.name, value)
        else:
            getattr(message, field.name)[index] = value
    except (ValueError, TypeError, OverflowError):
        pass  # no such number in this field


def _any_field(model: onnx.ModelProto, edit: Edit) -> None:
    site = chosen(_sites(model), edit.place)
    message, field, index = site
    value = getattr(message, field.name)
    if field.message_type is None:
        _set(site, _scalar(field, value if index is None else value[index], edit.choice))
    elif index is None:
        message.ClearField(field.name)
    elif edit.choice % 2:
        del value[index]
    else:
        value.add().CopyFrom(value[index])


def _attribute(model: onnx.ModelProto, edit: Edit) -> None:
    """Another number in an attribute, or one more number."""
    found = [item for node in model.graph.node for item in node.attribute]
    if not found:
        return _operator(model, edit)
    item = chosen(found, edit.place)
    numbers = chosen(INTEGERS, edit.choice)
    if item.ints and edit.choice % 5:
        item.ints[edit.place % len(item.ints)] = numbers
    elif item.type == onnx.AttributeProto.INTS:
        item.ints.append(numbers)
    elif item.type == onnx.AttributeProto.INT:
        item.i = numbers
    elif item.type == onnx.AttributeProto.FLOAT:
        item.f = chosen(_FLOATS, edit.choice)
    elif item.type == onnx.AttributeProto.STRING:
        item.s = chosen(_TEXTS, edit.choice).encode()
    elif item.type == onnx.AttributeProto.TENSOR:
        _tensor(item.t, edit)
    return None


def _tensor(tensor: onnx.TensorProto, edit: Edit) -> None:
    """Other numbers in a tensor, of a shape that fits or does not."""
    if tensor.data_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32) and math.prod(tensor.dims) <= 64:
        try:
            array = numpy_helper.to_array(tensor).copy()
        except Exception:  # onnx's own errors have no base in common
            return
        if array.size and edit.choice % 7:
            with np.errstate(all="ignore"):
                number = np.asarray(chosen(INTEGERS, edit.choice)).astype(array.dtype)
            array.reshape(-1)[edit.place % array.size] = number
        else:
            array = np.append(array, np.asarray(edit.choice % 5, array.dtype))
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    elif tensor.dims and edit.choice % 3:
        tensor.dims[edit.place % len(tensor.dims)] = chosen(INTEGERS, edit.choice)
    elif edit.choice % 2:
        tensor.dims.append(1)
    else:
        tensor.data_type = edit.choice % 24


def _constant(model: onnx.ModelProto, edit: Edit) -> None:
    tensors = [item.t for node in model.graph.node for item in node.attribute if item.HasField("t")]
    tensors += list(model.graph.initializer)
    whole = [item for item in tensors if item.data_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32)]
    if whole and edit.choice % 3:
        _tensor(chosen(whole, edit.place), edit)
    elif tensors:
        _tensor(chosen(tensors, edit.place), edit)


def _reshaped(model: onnx.ModelProto, edit: Edit) -> None:
    """Other lengths of inputs."""
    lengths = [length for item in model.graph.input for length in item.type.tensor_type.shape.dim]
    if lengths:
        chosen(lengths, edit.place).dim_value = chosen(INTEGERS, edit.choice)


def _wired(model: onnx.ModelProto, edit: Edit) -> None:
    """A node reads, or makes, another value: also one that comes of it."""
    nodes = [node for node in model.graph.node if node.input]
    if not nodes:
        return
    node = chosen(nodes, edit.place)
    names = [name for other in nodes for name in (*other.input, *other.output)]
    if edit.choice % 4:
        node.input[edit.place % len(node.input)] = chosen(names, edit.choice)
    elif node.output:
        node.output[edit.place % len(node.output)] = chosen(names, edit.choice)


def _operator(model: onnx.ModelProto, edit: Edit) -> None:
    if model.graph.node:
        node = chosen(model.graph.node, edit.place)
        node.domain, node.op_type = chosen(_OPERATORS, edit.choice)


def _inputs(model: onnx.ModelProto, edit: Edit) -> None:
    """More or fewer inputs of a node."""
    nodes = list(model.graph.node)
    if nodes:
        node = chosen(nodes, edit.place)
        if edit.choice % 3 == 0 and node.input:
            node.input.pop()
        else:
            names = [name for other in nodes for name in other.input] or [""]
            node.input.append(chosen((chosen(names, edit.choice), ""), edit.choice))


def _version(model: onnx.ModelProto, edit: Edit) -> None:
    if model.opset_import:
        versions = (1, 6, 7, 8, 9, 10, 11, 12, 13, 17, 18, 21)
        chosen(model.opset_import, edit.place).version = chosen(versions, edit.choice)


def _external(model: onnx.ModelProto, edit: Edit) -> None:
    if model.graph.initializer:
        tensor = chosen(model.graph.initializer, edit.place)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        places = ("/etc/hostname", "../secret", ".", "", "/dev/zero", "x\0y", "a/b/c", "fuzzed.onnx")
        tensor.external_data.add(key="location", value=chosen(places, edit.choice))
        if edit.choice % 3:
            tensor.external_data.add(key="offset", value=str(chosen(INTEGERS, edit.place)))


ONNX: dict[str, Callable[[onnx.ModelProto, Edit], None]] = {
    "ONNX attribute": _attribute,
    "ONNX constant": _constant,
    "ONNX external": _external,
    "ONNX field": _any_field,
    "ONNX inputs": _inputs,
    "ONNX operator": _operator,
    "ONNX shape": _reshaped,
    "ONNX version": _version,
    "ONNX wired": _wired,
}


def onnx_edited(content: bytes, edits: Sequence[Edit]) -> bytes:
    """An ONNX file after some edits of the kinds `ONNX`; others are passed over."""
    model = onnx.ModelProto()
    model.ParseFromString(content)
    for edit in edits:
        if edit.kind in ONNX and model.ByteSize():
            ONNX[edit.kind](model, edit)
    return model.SerializeToString()
