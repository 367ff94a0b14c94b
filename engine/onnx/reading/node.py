"""Node: one call of an operator in the file, with its attributes as Python values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from engine.onnx.file import read_tensor
from engine.onnx.reading.value import Value


class UnsupportedError(ValueError):
    """A node asks for what the engine does not do; the message says what, and of which node."""


class NotConstantError(UnsupportedError):
    """An input that has to be known when the file is read is computed when the model runs.

    Attributes:
        input_name: the file's name of it.
    """

    def __init__(self, message: str, input_name: str) -> None:
        super().__init__(message)
        self.input_name = input_name


class Node:
    """One call.

    Args:
        proto: the NodeProto.
        inputs: the values that go in; None where an optional one is left out.
        version: of the operator set that the operator is of.
        folder: the model's, for external data of tensors among the attributes.
    """

    def __init__(self, proto: Any, inputs: Sequence[Value | None], version: int, folder: Path | None) -> None:
        self.proto = proto
        self.operator: str = proto.op_type
        self.domain: str = "" if proto.domain == "ai.onnx" else proto.domain
        self.version = version
        self.inputs = list(inputs)
        self.outputs = list(proto.output)
        self._folder = folder
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}

    def with_inputs(self, inputs: Sequence[Value | None]) -> Node:
        """The same call on other inputs."""
        return Node(self.proto, inputs, self.version, self._folder)

    @property
    def label(self) -> str:
        """What errors call it."""
        return describe(self.proto)

    def __len__(self) -> int:
        return len(self.inputs)

    def optional(self, index: int) -> Value | None:
        """An input, or None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def __getitem__(self, index: int) -> Value:
        value = self.optional(index)
        if value is None:
            raise ValueError(f"{self.label} needs an input number {index}, which is left out")
        return value

    def constant(self, index: int, what: str) -> NDArray[Any]:
        """The values of an input that has to be known now.

        Args:
            what: the operator's name of it, for the error.

        Raises:
            NotConstantError: it is computed when the model runs.
        """
        value = self[index]
        if value.constant is None:
            raise NotConstantError(
                f"{self.label}: {what!r} must be a constant, but {value.name!r} is computed when the model runs",
                value.name,
            )
        return value.constant

    def integers(self, index: int, what: str) -> list[int]:
        """A constant input as a list of integers.

        Raises:
            NotConstantError: it is no constant. UnknownSizeError: there are free lengths in it.
        """
        return [int(item) for item in np.ravel(self.constant(index, what)).tolist()]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute: an int, float, str, list of these, or an array."""
        attribute = self._attributes.get(name)
        if attribute is None:
            return default
        kinds = attribute.AttributeType
        if attribute.type == kinds.FLOAT:
            return float(attribute.f)
        if attribute.type == kinds.INT:
            return int(attribute.i)
        if attribute.type == kinds.STRING:
            return attribute.s.decode("utf-8", "replace")
        if attribute.type == kinds.FLOATS:
            return [float(item) for item in attribute.floats]
        if attribute.type == kinds.INTS:
            return [int(item) for item in attribute.ints]
        if attribute.type == kinds.STRINGS:
            return [item.decode("utf-8", "replace") for item in attribute.strings]
        if attribute.type == kinds.TENSOR:
            return read_tensor(attribute.t, self._folder)
        if attribute.type == kinds.GRAPH:
            return attribute.g
        return self.refuse(f"its attribute {name!r} is of a kind that is not supported")

    def refuse(self, why: str) -> NoReturn:
        """Raises UnsupportedError with the node's name and the reason."""
        raise UnsupportedError(f"{self.label}: {why}")


def describe(proto: Any) -> str:
    """What errors call a node: its operator and its name, or its first output where it has none."""
    name = proto.name or next(iter(proto.output), "")
    return f"{proto.op_type} {name!r}"


def captured(proto: Any) -> list[str]:
    """The values of the graph around a node that the graphs inside it may read."""
    found: list[str] = []
    for attribute in proto.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for node in graph.node:
                found += [name for name in node.input if name]
                found += captured(node)
            found += [item.name for item in graph.output]
    return found
