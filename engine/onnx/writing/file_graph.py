"""The graph of a file while it is written: its nodes, its initializers and their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.dtypes import BFLOAT16
from engine.onnx.axes import Order
from engine.onnx.package import onnx_package
from engine.onnx.writing.computation import Call
from engine.onnx.writing.lengths import Free, Length, Lengths, Samples, is_free

INT64 = np.dtype(np.int64)
FLOAT32 = np.dtype(np.float32)

_SMALL = 16  # entries: constants up to here are written once where they are equal
_OPTIONAL_OUTPUTS = ("LSTM", "GRU", "RNN")  # operators whose outputs may go unnamed


def stored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in the file. Runtimes compute little in bfloat16: those values are float32 there, which is finer."""
    return FLOAT32 if dtype == BFLOAT16 else dtype


class FileGraph:
    """Collects the nodes and initializers of one graph.

    Args:
        opset: the version of ONNX's operators.
        samples: the free axes.
        sources: the names of the graph's inputs with the order of each.
    """

    def __init__(self, opset: int, samples: Samples, sources: Sequence[tuple[str, Order]]) -> None:
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._helper = onnx_package().helper
        self._numpy_helper = onnx_package().numpy_helper
        self._samples = samples
        self._sources = sources
        self._names = {name for name, _ in sources}
        self._arrays: dict[Any, str] = {}
        self._dimensions: dict[Free, str] = {}
        self._call: Call | None = None

    # Names ------------------------------------------------------------------------------------------------------------

    def begin(self, call: Call) -> None:
        """From here on nodes belong to `call`."""
        self._call = call

    def refuse(self, reason: str) -> ValueError:
        """The error that the current call cannot be written."""
        return ValueError(f"{self._call!r} cannot be written to ONNX: {reason}")

    def unique(self, name: str) -> str:
        """A name that nothing in the graph has yet."""
        candidate, number = name, 0
        while candidate in self._names:
            number += 1
            candidate = f"{name}_{number}"
        self._names.add(candidate)
        return candidate

    def name_outputs(self, found: Sequence[str], names: Sequence[str]) -> None:
        """Gives tensors the names of the graph's outputs; those that have to keep theirs are copied."""
        made = {output for node in self.nodes for output in node.output}
        renamed: dict[str, str] = {}
        for old, name in zip(found, names, strict=True):
            if old in made and old not in renamed:
                renamed[old] = name
            else:
                copied = renamed.get(old, old)
                self.nodes.append(
                    self._helper.make_node("Identity", [copied], [name], name=self.unique(f"{name}/copy"))
                )
        for node in self.nodes:
            node.input[:] = [renamed.get(item, item) for item in node.input]
            node.output[:] = [renamed.get(item, item) for item in node.output]

    def drop_unused(self, outputs: Sequence[str]) -> None:
        """Drops nodes and initializers that the outputs do not need, and the names of results that nobody reads."""
        needed = set(outputs)
        kept = []
        for node in reversed(self.nodes):
            if any(output in needed for output in node.output):
                kept.append(node)
                needed.update(node.input)
        self.nodes = kept[::-1]
        for node in self.nodes:
            if node.op_type in _OPTIONAL_OUTPUTS:
                node.output[:] = [output if output in needed else "" for output in node.output]
                while not node.output[-1]:
                    del node.output[-1]
        self.initializers = [tensor for tensor in self.initializers if tensor.name in needed]

    # Nodes ------------------------------------------------------------------------------------------------------------

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output; returns its name. Attributes that are None are left out."""
        return self.nodes_outputs(operator, inputs, 1, **attributes)[0]

    def nodes_outputs(self, operator: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """Adds a node with several outputs; returns their names."""
        path = self._call.path if self._call is not None else ""
        name = self.unique(f"{path}/{operator}" if path else operator)
        outputs = [self.unique(f"{name}:{index}") for index in range(count)]
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(self._helper.make_node(operator, list(inputs), outputs, name=name, **given))
        return outputs

    def cast(self, name: str, source: np.dtype[Any], target: np.dtype[Any]) -> str:
        """A tensor in another dtype; itself where the file holds both alike."""
        source, target = stored_dtype(source), stored_dtype(target)
        if source == target:
            return name
        return self.node("Cast", name, to=self.element_type(target))

    def element_type(self, dtype: np.dtype[Any]) -> int:
        """ONNX's number of a dtype."""
        return int(self._helper.np_dtype_to_tensor_dtype(stored_dtype(dtype)))

    # Constants --------------------------------------------------------------------------------------------------------

    def constant(self, array: Any, name: str = "") -> str:
        """The name of an initializer; equal small ones are written once."""
        values = np.asarray(array)
        values = np.ascontiguousarray(values.astype(stored_dtype(values.dtype), copy=False)).reshape(values.shape)
        key = (values.dtype.str, values.shape, values.tobytes()) if values.size <= _SMALL and not name else None
        if key is None or key not in self._arrays:
            fresh = self.unique(name or "constant")
            self.initializers.append(self._numpy_helper.from_array(values, fresh))
            if key is None:
                return fresh
            self._arrays[key] = fresh
        return self._arrays[key]

    def integers(self, *numbers: int) -> str:
        """An initializer of int64 numbers, as shapes and axes are given."""
        return self.constant(np.array(numbers, np.int64))

    def lengths(self, lengths: Sequence[Length]) -> str:
        """An int64 tensor of lengths; free ones are computed from the shapes of the inputs."""
        if not is_free(lengths):
            return self.integers(*(length for length in lengths if isinstance(length, int)))
        parts: list[str] = []
        run: list[int] = []
        for length in lengths:
            if isinstance(length, int):
                run.append(length)
                continue
            if run:
                parts.append(self.integers(*run))
                run = []
            parts.append(self._dimension(length))
        if run:
            parts.append(self.integers(*run))
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=0)

    def _dimension(self, length: Free) -> str:
        if length in self._dimensions:
            return self._dimensions[length]
        formula = self._samples.formula(length)
        if formula is None:
            raise self.refuse(
                "a length does not follow from those of the inputs in a line; fix the free axes by input_signature"
            )
        factors, offset = formula
        total = ""
        for axis, factor in zip(self._samples.axes, factors, strict=True):
            if not factor:
                continue
            number, place = axis.source
            name, order = self._sources[number]
            term = self.node("Gather", self.node("Shape", name), self.integers(order[place]), axis=0)
            if factor != 1:
                term = self.node("Mul", term, self.integers(factor))
            total = self.node("Add", total, term) if total else term
        if offset:
            total = self.node("Add", total, self.integers(offset))
        self._dimensions[length] = total
        return total

    # Shapes -----------------------------------------------------------------------------------------------------------

    def reshape(self, name: str, before: Lengths, after: Lengths) -> str:
        """A tensor of the file with other lengths; a free one is copied or left to be found where possible."""
        if tuple(before) == tuple(after):
            return name
        target: list[Length] = []
        open_length = False
        for axis, length in enumerate(after):
            if isinstance(length, int):
                target.append(length)
            elif axis < len(before) and before[axis] == length:
                target.append(0)
            elif not open_length:
                target.append(-1)
                open_length = True
            else:
                target.append(length)
        return self.node("Reshape", name, self.lengths(target))

    def squeeze(self, name: str, *axes: int) -> str:
        """A tensor without axes of length 1."""
        return self.node("Squeeze", name, self.integers(*axes)) if axes else name

    def unsqueeze(self, name: str, *axes: int) -> str:
        """A tensor with new axes of length 1, at these places of the result."""
        return self.node("Unsqueeze", name, self.integers(*axes)) if axes else name

    def reduce(self, operator: str, name: str, axes: Sequence[int], keepdims: bool = False) -> str:
        """A reduction of a tensor of the file over some of its axes."""
        first = 13 if operator == "ReduceSum" else 18  # from which on the axes are an input
        if self.opset >= first:
            return self.node(operator, name, self.integers(*axes), keepdims=int(keepdims))
        return self.node(operator, name, axes=list(axes), keepdims=int(keepdims))
