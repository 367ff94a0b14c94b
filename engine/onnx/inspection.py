"""What an ONNX file says of itself, without building anything."""

from __future__ import annotations

import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

from engine.inspection.report import ModelReport, Part, Tensor
from engine.onnx.file import NEWEST_OPSET, OLDEST_OPSET, external_location, opsets, read_message
from engine.onnx.labels import class_labels
from engine.onnx.package import onnx_package
from engine.onnx.reading.control_flow import CONTROL_FLOW
from engine.onnx.reading.node import captured
from engine.onnx.reading.operators import find_rule

_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mod", "Equal", "Greater", "Less"})
_PEEPHOLES = 7  # the number of LSTM's input
_OURS = frozenset(
    {
        "ConstantOfShape", "DepthToSpace", "DequantizeLinear", "Expand", "ImageScaler", "LRN", "QLinearConv",
        "QLinearMatMul", "QuantizeLinear", "Resize", "ReverseSequence", "SVMClassifier", "SVMRegressor", "Scaler",
        "Scatter", "ScatterElements", "ScatterND", "SpaceToDepth", "TreeEnsembleClassifier", "TreeEnsembleRegressor",
        "Upsample",
    }
)  # fmt: skip
"""Operators that become layers which Keras does not know; what others are given may make them such, too."""


def inspect_onnx(filepath: str | os.PathLike[str]) -> ModelReport:
    """The report on an ONNX file: its nodes, inputs, outputs, and what of it is not supported.

    Only what a rule finds out while it translates (an option that is not supported) stays unsaid.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is no ONNX file.
        ImportError: the package onnx is not installed.
    """
    path = Path(filepath)
    message = read_message(path)
    graph = message.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {item.name: _tensor(item) for item in (*graph.value_info, *graph.output)}
    counted: set[str] = set()
    parts = tuple(_part(node, weights, shapes, counted) for node in graph.node)
    problems, size = _files(message, path)
    problems += _versions(message)
    problems += [f"{part.kind} {part.name!r}: {part.problem}" for part in parts if part.problem]
    read = {name for node in graph.node for name in _read_by(node)} | {item.name for item in graph.output}
    return ModelReport(
        path=str(path),
        format="ONNX",
        written_by=f"{message.producer_name} {message.producer_version}".strip(),
        size_bytes=size,
        inputs=tuple(_tensor(item) for item in graph.input if item.name not in weights),
        outputs=tuple(_tensor(item) for item in graph.output),
        parts=parts,
        parameters=sum(part.parameters for part in parts),
        problems=tuple(problems),
        notes=_notes(message, parts, weights, [name for name in weights if name not in read]),
    )


def _part(node: Any, weights: dict[str, Any], shapes: dict[str, Tensor], counted: set[str]) -> Part:
    own = [name for name in dict.fromkeys(_read_by(node)) if name in weights and name not in counted]
    counted.update(own)
    tensors = [*(weights[name] for name in own), *(tensor for graph in _graphs(node) for tensor in graph.initializer)]
    first = next(iter(node.output), "")
    return Part(
        name=node.name or first,
        kind=node.op_type,
        parameters=sum(math.prod(tensor.dims) for tensor in tensors if _is_parameter(tensor)),
        shape=shapes[first].shape if first in shapes else None,
        problem=_problem(node),
    )


def _problem(node: Any) -> str | None:
    """What of a node, or of the graphs inside it, has no rule."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    if not domain and node.op_type in CONTROL_FLOW:
        inner = (_problem(item) for graph in _graphs(node) for item in graph.node)
        return next((problem for problem in inner if problem is not None), None)
    if find_rule(domain, node.op_type) is not None:
        return None
    return f"the operator {node.op_type}{f' of {domain!r}' if domain else ''} is not supported"


def _graphs(node: Any) -> list[Any]:
    """The graphs inside a node."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def _read_by(node: Any) -> list[str]:
    """The values that a node reads, those of the graphs inside it included."""
    return [*node.input, *captured(node)]


def _is_parameter(tensor: Any) -> bool:
    """Whether a tensor holds weights: shapes and axes are of 64-bit integers."""
    return bool(tensor.data_type not in (onnx_package().TensorProto.INT64, onnx_package().TensorProto.STRING))


def _tensor(item: Any) -> Tensor:
    kinds = onnx_package().TensorProto.DataType
    declared = item.type.tensor_type
    lengths = tuple(
        int(dimension.dim_value) if dimension.HasField("dim_value") and dimension.dim_value > 0 else None
        for dimension in declared.shape.dim
    )
    element = declared.elem_type
    name = kinds.Name(element).lower() if element in kinds.values() else ""
    return Tensor(item.name, lengths, {"float": "float32", "double": "float64", "undefined": ""}.get(name, name))


def _files(message: Any, path: Path) -> tuple[list[str], int]:
    """What is wrong with the files of external data, and the bytes of all files together."""
    problems: list[str] = []
    files: set[Path] = set()
    for tensor in message.graph.initializer:
        if tensor.data_location != 1:
            continue
        try:
            files.add(external_location(tensor, path.parent))
        except ValueError as error:
            problems.append(str(error))
    return problems[:5], path.stat().st_size + sum(file.stat().st_size for file in files)


def _versions(message: Any) -> list[str]:
    version = opsets(message).get("")
    if version is not None and version < OLDEST_OPSET:
        return [f"it is of opset {version}; {OLDEST_OPSET} to {NEWEST_OPSET} are supported"]
    return []


def _notes(message: Any, parts: tuple[Part, ...], weights: dict[str, Any], unread: list[str]) -> tuple[str, ...]:
    versions = opsets(message)
    notes = ["opset: " + ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in sorted(versions.items()))]
    if versions.get("", OLDEST_OPSET) > NEWEST_OPSET:
        notes.append(f"opset {versions['']} is newer than {NEWEST_OPSET}: its operators are read as those of before")
    kinds = Counter(tensor.data_type for tensor in weights.values())
    halves = kinds[onnx_package().TensorProto.FLOAT16] + kinds[onnx_package().TensorProto.BFLOAT16]
    if halves:
        notes.append(f"{halves} tensors of 16-bit floats: they are computed in float32")
    ours = sorted({part.kind for part in parts if part.kind in _OURS} | _ours_by_inputs(message, weights))
    if ours:
        notes.append(f"layers of ours, which Keras itself cannot open, may come of: {', '.join(ours)}")
    if unread:
        notes.append(f"no node reads: {', '.join(unread)}")
    notes += [f"{entry.key}: {entry.value}" for entry in message.metadata_props]
    labels = class_labels(message)
    if labels:
        notes.append(f"labels: {', '.join(labels)}")
    return tuple(notes)


def _ours_by_inputs(message: Any, weights: dict[str, Any]) -> set[str]:
    """Operators that become layers which Keras does not know because of what these nodes are given."""
    found = set()
    for node in message.graph.node:
        constants = [weights[name] for name in node.input if name in weights]
        whole = [
            number for item in node.attribute if item.name in ("pads", "ceil_mode") for number in (item.i, *item.ints)
        ]
        if (
            (node.op_type in _ARITHMETIC and len(constants) == 1 and math.prod(constants[0].dims) > 1)
            or (node.op_type in ("AveragePool", "MaxPool") and any(whole))
            or (node.op_type == "Gather" and len(constants) == 1 and node.input[0] in weights)
            or (node.op_type == "LSTM" and len(node.input) > _PEEPHOLES and node.input[_PEEPHOLES])
        ):
            found.add(str(node.op_type))
    return found
