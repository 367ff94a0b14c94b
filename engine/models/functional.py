"""Functional models: the network between given inputs and outputs as one model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from engine import ops, tree
from engine.layers import masks, tracking
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.models.model import Model
from engine.models.network import Network
from engine.models.reading import functional_from_config
from engine.ops.operation import KerasTensor, Operation, is_tensor
from engine.registry import registered, serialize


@registered("keras.src.models.functional", "Model")
class Functional(Model):
    """The network that leads from `inputs` to `outputs`.

    Args:
        inputs, outputs: placeholders, or nests of them; the nest is how the model is called and what it returns.
            Inputs may lie in the middle of another network: the calls from there on are made again.
        name, trainable, dtype: as in `Layer`.

    Raises:
        ValueError: something that is no placeholder, or outputs that the inputs do not lead to.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return Operation.__new__(cls, *args, **kwargs)

    @staticmethod
    def extending(kind: type) -> type:
        """The class of a user's model that gave inputs and outputs to `Model.__init__`: its own and functional."""
        if kind not in _subclasses:
            namespace = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
            _subclasses[kind] = type(kind.__name__, (kind, Functional), namespace)
        return _subclasses[kind]

    @classmethod
    def from_network_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """A model made from the layers and calls in a config."""
        return functional_from_config(cls, config, custom_objects)

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        self._init_trainer()
        Layer.__init__(self, name=name, **kwargs)
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            leaves = tree.flatten(structure)
            if not leaves or not all(isinstance(leaf, KerasTensor) for leaf in leaves):
                raise ValueError(f"{what} must be placeholders (KerasTensors). Received: {structure!r}")
        inputs, outputs = _from_inputs(inputs, outputs)
        self._inputs_struct = inputs
        self._outputs_struct = outputs
        self._inputs = tree.flatten(inputs)
        self._outputs = tree.flatten(outputs)
        self._network = Network(self._inputs, self._outputs)
        self._operations = self._network.operations
        self.input_spec = tree.flatten(self._input_specs())
        self.output_names = (
            sorted(outputs)
            if isinstance(outputs, dict) and not any(tree.is_nested(value) for value in outputs.values())
            else [tensor.history.operation.name for tensor in self._outputs]
        )
        self.built = True

    # Structure --------------------------------------------------------------------------------------------------------

    @property
    def _layers(self) -> list[Any]:
        found = {id(item): item for item in self._operations if isinstance(item, Layer)}
        for item in tracking.owned(self, tracking.is_layer):
            found.setdefault(id(item), item)
        return list(found.values())

    @property
    def operations(self) -> list[Operation]:
        """The layers and operations, those farthest from the outputs first."""
        return list(self._operations)

    @property
    def layers(self) -> list[Any]:
        return [item for item in self._operations if isinstance(item, Layer)]

    @property
    def inputs(self) -> list[KerasTensor]:
        """The input placeholders, flattened."""
        return list(self._inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The output placeholders, flattened."""
        return list(self._outputs)

    @property
    def input(self) -> Any:
        """The input placeholders in the model's nest."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The output placeholders in the model's nest."""
        return self._outputs_struct

    @property
    def input_shape(self) -> Any:
        """The shapes of the inputs; a single one by itself."""
        shapes = [tensor.shape for tensor in self._inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """The shapes of the outputs; a single one by itself."""
        shapes = [tensor.shape for tensor in self._outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def input_names(self) -> list[str]:
        return [tensor.history.operation.name for tensor in self._inputs]

    def _input_specs(self) -> Any:
        named = isinstance(self._inputs_struct, dict)
        keys = sorted(self._inputs_struct) if named else [None] * len(self._inputs)
        specs = []
        for tensor, key in zip(self._inputs, keys, strict=False):
            optional = bool(getattr(tensor.history.operation, "optional", False))
            specs.append(
                InputSpec(
                    shape=(None, *tensor.shape[1:]) if tensor.shape else (),
                    allow_last_axis_squeeze=True,
                    name=key or tensor.history.operation.name,
                    optional=optional,
                )
            )
        return specs

    def _known_outputs(self) -> Any:
        return self._outputs_struct

    # Calls ------------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Does nothing: a functional model is built from the beginning."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(self.arranged(inputs), *args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        values = [self._fitted(value, tensor) for value, tensor in zip(tree.flatten(inputs), self._inputs, strict=True)]
        masks.put(values, mask)
        outputs = self._network.run(self._inputs, self._outputs_struct, values, partial(_in_mode, training))
        # A list of one output is that output, as in Keras.
        return outputs[0] if isinstance(outputs, (list, tuple)) and len(outputs) == 1 else outputs

    def arranged(self, inputs: Any) -> Any:
        """Inputs in the model's nest: dictionaries match by the inputs' names, lists by their order.

        Raises:
            ValueError: another number of inputs, or a name is missing.
        """
        structure = self._inputs_struct
        if isinstance(inputs, dict):
            names = self.input_names
            keys = sorted(structure) if isinstance(structure, dict) else names
            if not all(key in inputs for key in keys):
                keys = names
            missing = [key for key in keys if key not in inputs]
            if missing:
                raise ValueError(
                    f"Model {self.name!r} misses the input {missing[0]!r}. Expected: {', '.join(keys)}. "
                    f"Received: {', '.join(map(str, inputs))}"
                )
            leaves = [inputs[key] for key in keys]
        else:
            leaves = [inputs] if not tree.is_nested(inputs) else tree.flatten(inputs)
        if len(leaves) != len(self._inputs):
            raise ValueError(
                f"Model {self.name!r} expects {len(self._inputs)} input(s) ({', '.join(self.input_names)}), "
                f"but it received {len(leaves)}."
            )
        leaves = [np.asarray(leaf) if _is_plain(leaf) else leaf for leaf in leaves]
        return tree.pack_sequence_as(structure, leaves)

    def _fitted(self, value: Any, tensor: KerasTensor) -> Any:
        """A value in the dtype and rank of its placeholder."""
        if value is None:
            return None
        rank, expected = len(value.shape), len(tensor.shape)
        if rank == expected + 1 and value.shape[-1] == 1:
            value = ops.squeeze(value, axis=-1)
        elif rank == expected - 1 and tensor.shape[-1] == 1:
            value = ops.expand_dims(value, axis=-1)
        wanted = tensor.dtype.name
        if value.dtype.name != wanted and self.compute_dtype == self.variable_dtype:
            value = ops.cast(value, wanted)
        return value

    def cloned(
        self, make: Callable[[Any], Any], inputs: Any = None, call: Callable[..., Any] | None = None
    ) -> Functional:
        """The same network of new layers.

        Args:
            make: gives the new layer of each layer, the new operation of each operation.
            inputs: placeholders in the model's nest; default: new ones.
            call: (layer, *args, **kwargs) -> outputs: what is done in place of calling a new layer.
        """
        copies: dict[int, Any] = {}

        def copy(operation: Operation) -> Any:
            if id(operation) not in copies:
                copied = make(operation)
                copies[id(operation)] = copied if call is None else partial(call, copied)
            return copies[id(operation)]

        if inputs is None:
            fresh = [_input_like(tensor, name) for tensor, name in zip(self._inputs, self.input_names, strict=True)]
            inputs = tree.pack_sequence_as(self._inputs_struct, fresh)
        outputs = self._network.run(self._inputs, self._outputs_struct, tree.flatten(inputs), copy)
        # A class of the user's that has steps of its own, but is made as any functional model is, stays itself.
        kind = type(self) if type(self).__init__ is Functional.__init__ else Functional
        return kind(inputs, outputs, name=self.name)

    # Configuration ----------------------------------------------------------------------------------------------------

    def get_build_config(self) -> dict[str, Any]:
        return {"input_shape": None}

    def saveable_children(self) -> dict[str, Any]:
        found = super().saveable_children()
        return {"layers": found.pop("layers"), **found}

    def get_config(self) -> dict[str, Any]:
        """The layers, their calls, and where inputs and outputs are: Keras's form."""
        positions = self._network.positions()
        layers = []
        for operation in self._operations:
            entry = dict(serialize(operation))
            entry["name"] = operation.name
            entry["inbound_nodes"] = [
                _serialized_node(node, positions)
                for node in operation.inbound_nodes
                if id(node) in positions and not node.is_input
            ]
            layers.append(entry)

        def place(tensor: KerasTensor) -> list[Any]:
            operation, index, number = tensor.history  # type: ignore[misc]
            position = positions[id(operation.inbound_nodes[index])]
            # Keras counts a call of its own in nested functional models, here though not within calls.
            return [operation.name, position + isinstance(operation, Functional), number]

        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": layers,
            "input_layers": _mapped(place, self._inputs_struct),
            "output_layers": _mapped(place, self._outputs_struct),
        }


def _in_mode(training: bool | None, operation: Operation) -> Any:
    """What is called in an operation's place: the model's `training` outweighs the recorded call's, as in Keras."""
    if training is None or not isinstance(operation, Layer) or not operation._call_signature.takes_training:
        return operation

    def call(*args: Any, **kwargs: Any) -> Any:
        return operation(*args, **{**kwargs, "training": training})

    return call


def _mapped(place: Any, structure: Any) -> Any:
    mapped = tree.map_structure(place, structure)
    return list(mapped) if isinstance(mapped, tuple) else mapped


def _serialized_node(node: Any, positions: dict[int, int]) -> dict[str, Any]:
    def leaf(item: Any) -> Any:
        if not isinstance(item, KerasTensor):
            return serialize(item)
        operation, index, number = item.history  # type: ignore[misc]
        history = [operation.name, positions[id(operation.inbound_nodes[index])], number]
        config = {"shape": list(item.shape), "dtype": item.dtype.name, "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}

    args, kwargs = node.arguments
    if isinstance(node.operation, Layer) and not kwargs.keys() - {"mask"}:
        # Keras writes them for calls without other named arguments.
        signature = node.operation._call_signature
        kwargs = {**signature.unsaid, **kwargs}
    return {"args": list(tree.map_structure(leaf, args)), "kwargs": tree.map_structure(leaf, kwargs)}


def _from_inputs(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Inputs that come from `Input`, and outputs that follow from them."""
    leaves = tree.flatten(inputs)
    if all(tensor.history is not None and _is_input(tensor) for tensor in leaves):
        return inputs, outputs
    fresh = [tensor if tensor.history is not None and _is_input(tensor) else _input_like(tensor) for tensor in leaves]
    network = Network(leaves, tree.flatten(outputs))
    return tree.pack_sequence_as(inputs, fresh), network.run(leaves, outputs, fresh)


def _input_like(tensor: KerasTensor, name: str | None = None) -> KerasTensor:
    from engine.layers import Input

    return Input(batch_shape=tensor.shape, dtype=tensor.dtype.name, name=name or tensor.name)


def _is_input(tensor: KerasTensor) -> bool:
    assert tensor.history is not None
    return tensor.history.operation.inbound_nodes[tensor.history.node_index].is_input


def _is_plain(leaf: Any) -> bool:
    return leaf is not None and not is_tensor(leaf) and not isinstance(leaf, np.ndarray)


_subclasses: dict[type, type] = {}

Model._functional_kind = Functional
