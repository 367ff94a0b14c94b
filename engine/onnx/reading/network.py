"""The whole graph of a file as a functional model: inputs, constants, nodes in order, outputs."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.layers import Input
from engine.models import Model
from engine.onnx.axes import channels_last, ordered, same
from engine.onnx.file import dtype_of, opsets, read_tensor
from engine.onnx.reading.batch import keeps_one_batch
from engine.onnx.reading.builder import Builder, FixedBatchError
from engine.onnx.reading.control_flow import CONTROL_FLOW, UNROLLED_LIMIT, Body
from engine.onnx.reading.free_lengths import BATCH
from engine.onnx.reading.moving import translated_by
from engine.onnx.reading.node import Node, UnsupportedError, captured, describe
from engine.onnx.reading.operators import find_rule
from engine.onnx.reading.patterns import DOMAIN, rewritten
from engine.onnx.reading.schema import check_node
from engine.onnx.reading.value import Value
from engine.onnx.sizes import Size, UnknownSizeError

NODES_LIMIT = 50_000
"""Nodes that a graph may have; each takes a millisecond or two. The largest vision networks have some 10,000."""
ENDS_LIMIT = 1000
"""Inputs that a graph may have beside its constants, and outputs."""


class Network:
    """A file's graph while it is translated.

    Args:
        message: the ModelProto, its local functions inlined.
        folder: the file's, for external data.
        frozen: values that stand in place of inputs of these names.
        channels_last_inputs: inputs of images are taken as (batch, rows, columns, channels) instead of the file's
            order.
        input_sizes: lengths that stand in place of the free ones of images: rows and columns.
        is_batch_free: whether the batch axis is free though the file gives it a length.
        widen: float16 and bfloat16 are read as float32.
    """

    def __init__(
        self,
        message: Any,
        folder: Path | None,
        frozen: Mapping[str, NDArray[Any]],
        channels_last_inputs: bool,
        input_sizes: tuple[int, int] | None,
        is_batch_free: bool,
        widen: bool,
    ) -> None:
        self._graph = message.graph
        self._folder = folder
        self._versions = opsets(message)
        self._frozen = frozen
        self._channels_last_inputs = channels_last_inputs
        self._input_sizes = input_sizes
        self._is_batch_free = is_batch_free
        self.builder = Builder(widen=widen)
        self._values: ChainMap[str, Value] = ChainMap()  # the first map is of the graph that is translated
        self._inlined = 0
        self._unread: dict[str, None] = {}

    def build(self) -> tuple[Any, list[str]]:
        """The model, and the names of the initializers that nothing reads."""
        inputs, values = self.translate()
        if not inputs:
            raise ValueError("the graph has no inputs")
        if not values:
            raise ValueError("the graph has no outputs")
        outputs = [
            self.output(item.name, value)
            for item, value in zip(self._graph.output, values, strict=True)
            if not value.is_text
        ]
        if not outputs:
            raise UnsupportedError("all outputs are texts")
        model = Model(
            inputs[0] if len(inputs) == 1 else inputs,
            outputs[0] if len(outputs) == 1 else outputs,
            name=self._model_name(),
        )
        unset = [variable.path for variable in model.weights if not variable.version]
        if unset:
            raise ValueError(f"the file gives no values for {', '.join(unset)}")
        return model, list(self._unread)

    def translate(self) -> tuple[list[Any], list[Value]]:
        """The placeholders of the inputs, and the outputs, some of which may be constants."""
        for kind, found, limit in (
            ("inputs", len(self._graph.input) - len(self._graph.initializer), ENDS_LIMIT),
            ("outputs", len(self._graph.output), ENDS_LIMIT),
            ("nodes", len(self._graph.node), NODES_LIMIT),
        ):
            if found > limit:
                raise UnsupportedError(f"the graph has {found} {kind}; {limit} are supported")
        self._take_constants()
        inputs = self._make_inputs()
        for item in self._graph.output:
            self.builder.reserve(item.name)
        for proto in self._needed(self._graph):
            self._translate(proto)
        return inputs, [self.read(item.name) for item in self._graph.output]

    def _model_name(self) -> str:
        text = "".join(letter if letter.isalnum() or letter in "_-." else "_" for letter in self._graph.name)
        return text.strip("_") or "onnx_model"

    # What goes in ----------------------------------------------------------------------------------------------------

    def _take_constants(self) -> None:
        for name, value in self._constants(self._graph).items():
            self.define(name, value)
            self._unread[name] = None
        for name, array in self._frozen.items():
            if name not in self._values:
                self.define(name, Value(name, constant=array))

    def _constants(self, graph: Any) -> dict[str, Value]:
        """The tensors that a graph holds."""
        if graph.sparse_initializer:
            raise UnsupportedError("the graph has sparse initializers, which are not supported")
        found: dict[str, Value] = {}
        for tensor in graph.initializer:
            if tensor.name in found:
                raise ValueError(f"the graph defines {tensor.name!r} twice")
            found[tensor.name] = Value(tensor.name, constant=read_tensor(tensor, self._folder))
        return found

    def define(self, name: str, value: Value) -> None:
        """Gives a name to a value.

        Raises:
            ValueError: the graph has one of this name.
        """
        if name in self._values.maps[0]:
            raise ValueError(f"the graph defines {name!r} twice")
        if value.constant is not None:
            value = Value(name, constant=self.builder.widened(value.constant))
        self._values[name] = value

    def _make_inputs(self) -> list[Any]:
        inputs = []
        for item in self._graph.input:
            if item.name in self._values:  # before IR 4 initializers are listed as inputs, too
                continue
            lengths, symbols, dtype = self._input_form(item)
            order = same(len(lengths))
            if self._channels_last_inputs and len(lengths) == 4:
                order = channels_last(4)
            name = _unique(item.name, self.builder.names)
            tensor = Input(batch_shape=ordered(lengths, order), dtype=dtype.name, name=name)
            self.builder.lengths.declare(tensor, ordered(symbols, order))
            self.define(item.name, Value(item.name, tensor, order))
            inputs.append(tensor)
        return inputs

    def _input_form(self, item: Any) -> tuple[list[int | None], list[str | None], np.dtype[Any]]:
        """Lengths (None where free) and the names of the free ones, in the file's order, and the dtype."""
        if not item.type.HasField("tensor_type"):
            raise UnsupportedError(f"input {item.name!r} is no tensor")
        declared = item.type.tensor_type
        if not declared.HasField("shape"):
            raise UnsupportedError(f"input {item.name!r} has no shape in the file, not even a number of axes")
        lengths: list[int | None] = []
        symbols: list[str | None] = []
        for axis, dimension in enumerate(declared.shape.dim):
            fixed = int(dimension.dim_value) if dimension.HasField("dim_value") else None
            if fixed is not None and (fixed < -1 or (fixed == 0 and axis)):
                raise ValueError(f"input {item.name!r} has a length of {fixed}")
            if fixed is not None and fixed < 1:
                fixed = None  # exporters write 0 or -1 for what is free
            rank = len(declared.shape.dim)
            if fixed is None and rank == 4 and axis >= 2 and self._input_sizes is not None:
                fixed = self._input_sizes[axis - 2]
            if axis == 0 and self._is_batch_free:
                if fixed is not None and self.builder.declared_batch not in (None, fixed):
                    raise FixedBatchError(f"the inputs have batches of {self.builder.declared_batch} and {fixed}")
                if fixed is not None:
                    self.builder.declared_batch = fixed
                lengths.append(None)
                symbols.append(BATCH)
            elif fixed is None:
                lengths.append(None)
                symbols.append(BATCH if axis == 0 else dimension.dim_param or f"{item.name}:{axis}")
            else:
                lengths.append(fixed)
                symbols.append(None)
        dtype = dtype_of(declared.elem_type, item.name)
        return lengths, symbols, self.builder.widened_dtype(dtype)

    # Nodes -----------------------------------------------------------------------------------------------------------

    def _needed(self, graph: Any, inner: Collection[str] = ()) -> list[Any]:
        """The nodes of a graph that its outputs depend on, in the file's order.

        Args:
            inner: names that only this graph gives a meaning: not those of the graph around it.

        Raises:
            ValueError: a node reads what no earlier one makes: the graph has a cycle or is out of order.
        """
        made = {*self._values, *inner}
        for proto in graph.node:
            if proto.domain in ("", "ai.onnx") and "" in self._versions:
                check_node(proto, self._versions[""])
            missing = [name for name in proto.input if name and name not in made]
            if missing:
                raise ValueError(
                    f"{describe(proto)} reads {missing[0]!r}, which nothing before it makes: the graph has a cycle, or "
                    "its nodes are out of order"
                )
            made.update(name for name in proto.output if name)
        constants = {
            name: value.constant
            for name, value in self._values.items()
            if value.constant is not None and name not in inner
        }
        for proto in graph.node:
            if proto.op_type == "Constant" and len(proto.output) == 1:
                constants |= _small_constant(proto, self._folder)
        wanted = {item.name for item in graph.output}
        needed = []
        for proto in reversed(rewritten(graph, constants)):
            if any(name in wanted for name in proto.output if name):
                needed.append(proto)
                wanted.update(name for name in proto.input if name)
                wanted.update(captured(proto))
        return needed[::-1]

    def _translate(self, proto: Any) -> None:
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        if domain not in self._versions and domain != DOMAIN:
            raise ValueError(f"{describe(proto)} is of the operator set {domain!r}, which the file does not declare")
        inputs = [self.read(name) if name else None for name in proto.input]
        node = Node(proto, inputs, self._versions.get(domain, self._versions.get("", 1)), self._folder)
        if node.operator in CONTROL_FLOW and not domain:
            CONTROL_FLOW[node.operator](self, node)
            return
        texts = [value for value in inputs if value is not None and value.is_text]
        if texts and not domain:  # what would be done with the names of classes leaves names of classes
            self._values.update({name: texts[0] for name in node.outputs if name})
            return
        rule = find_rule(domain, node.operator)
        if rule is None:
            known = f" of {domain!r}" if domain else ""
            raise UnsupportedError(f"{node.label}: the operator {node.operator}{known} is not supported")
        self.builder.label = proto.name or next(iter(proto.output), node.operator)
        try:
            results = translated_by(self.builder, node, rule)
        except (UnsupportedError, FixedBatchError):
            raise
        except UnknownSizeError as error:
            raise UnknownSizeError(f"{node.label}: {error}") from error
        except (ValueError, TypeError, IndexError, KeyError, OverflowError, ZeroDivisionError) as error:
            raise ValueError(f"{node.label}: {error}") from error
        keeps_one_batch(self.builder, node, results)
        for name, value in zip(node.outputs, results, strict=False):
            if name and value is not None:
                value.name = name
                self.define(name, value)
                if value.constant is None:
                    self.builder.adopt(value.tensor)

    def body(self, graph: Any) -> Body:
        """A graph inside a node, prepared for being translated."""
        inputs = [item.name for item in graph.input]
        constants = self._constants(graph)
        nodes = self._needed(graph, {*inputs, *constants})
        return Body(inputs, [item.name for item in graph.output], nodes, constants)

    def inlined(self, body: Body, given: Mapping[str, Value]) -> list[Value]:
        """The outputs of a graph inside a node for some inputs.

        Raises:
            UnsupportedError: there are more nodes in all loops together than are allowed.
        """
        self._inlined += len(body.nodes) + 1
        if self._inlined > UNROLLED_LIMIT:
            raise UnsupportedError(f"the file's loops have more than {UNROLLED_LIMIT} nodes when they are unrolled")
        self._values = self._values.new_child()
        try:
            for name, value in {**body.constants, **given}.items():
                self.define(name, value)
            for proto in body.nodes:
                self._translate(proto)
            return [self.read(name) for name in body.outputs]
        finally:
            self._values = self._values.parents

    def read(self, name: str) -> Value:
        """The value of a name.

        Raises:
            UnsupportedError: there is none.
        """
        self._unread.pop(name, None)
        if name not in self._values:
            raise UnsupportedError(f"{name!r} is an output that the engine does not compute")
        return self._values[name]

    # What comes out --------------------------------------------------------------------------------------------------

    def output(self, name: str, value: Value) -> Any:
        """The placeholder of an output, with its axes as in the file, under the file's name."""
        if value.is_constant:
            raise UnsupportedError(f"the output {name!r} is a constant; a model's outputs follow from its inputs")
        if self.builder.declared_batch is not None:
            shape = self.builder.shape(value)
            if not shape or shape[0] != Size(BATCH):
                raise FixedBatchError(f"the output {name!r} has no batch axis")
        return self.builder.named(self.builder.as_file(value), name)


def _small_constant(proto: Any, folder: Path | None) -> dict[str, NDArray[Any]]:
    """What a Constant node holds, where it is one tensor."""
    tensor = next((item.t for item in proto.attribute if item.name == "value"), None)
    if tensor is not None:
        return {proto.output[0]: read_tensor(tensor, folder)}
    numbers = next((item for item in proto.attribute if item.name in ("value_float", "value_int")), None)
    if numbers is None:
        return {}
    return {proto.output[0]: np.asarray(numbers.f if numbers.name == "value_float" else numbers.i)}


def _unique(name: str, taken: set[str]) -> str:
    text = "".join(letter if letter.isalnum() or letter in "_-." else "_" for letter in name).strip("_") or "input"
    chosen, number = text, 0
    while chosen in taken:
        number += 1
        chosen = f"{text}_{number}"
    taken.add(chosen)
    return chosen
