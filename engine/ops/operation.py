"""Operations and the record of their calls on placeholders.

Calling an `Operation` (an op or a layer) on a `KerasTensor` runs nothing: it infers what would come out and remembers
the call as a `Node`. Functional models are made of that record.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

from engine import tree
from engine.naming import auto_name
from engine.ops.inference import infer_specs, inferring, known_shape
from engine.ops.keras_tensor import History, KerasTensor, any_symbolic, is_keras_tensor, is_tensor
from engine.tensor import CaptureError

__all__ = [
    "History",
    "KerasTensor",
    "Node",
    "Operation",
    "any_symbolic",
    "infer_specs",
    "inferring",
    "is_keras_tensor",
    "is_tensor",
    "known_shape",
]


class Node:
    """One call of an operation on placeholders.

    Attributes:
        operation: what was called.
        arguments: (args, kwargs) as they were given.
        input_tensors, output_tensors: the placeholders among the arguments and the results, in flattened order.
        outputs: the results in the nest in which the operation returned them.
        is_input: no placeholder went in: an `InputLayer`.
    """

    def __init__(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        self.operation = operation
        self.arguments = (args, kwargs)
        self.input_tensors: list[KerasTensor] = [
            leaf for leaf in tree.flatten([list(args), kwargs]) if isinstance(leaf, KerasTensor)
        ]
        self.outputs = outputs
        self.output_tensors: list[Any] = tree.flatten(outputs)
        self.is_input = not self.input_tensors
        self.index = len(operation.inbound_nodes)
        operation.inbound_nodes.append(self)
        for tensor in self.input_tensors:
            if tensor.history is not None:
                tensor.history.operation.outbound_nodes.append(self)
        for index, tensor in enumerate(self.output_tensors):
            if isinstance(tensor, KerasTensor):
                tensor.history = History(operation, self.index, index)

    @property
    def parent_nodes(self) -> list[Node]:
        """The nodes that made the inputs."""
        return [
            tensor.history.operation.inbound_nodes[tensor.history.node_index]
            for tensor in self.input_tensors
            if tensor.history is not None
        ]

    def fill_in(self, values: dict[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with each placeholder replaced by `values[id(placeholder)]`."""

        def replace(leaf: Any) -> Any:
            return values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        args, kwargs = self.arguments
        return tree.map_structure(replace, args), tree.map_structure(replace, kwargs)

    def __repr__(self) -> str:
        return f"<Node of {self.operation.name}, index {self.index}>"


class Operation:
    """Something that is called on tensors: a function with settings. Layers and models are operations too.

    Args:
        name: default: the class's name in snake case, numbered.
    """

    # What recorded configs hold besides the constructor's arguments.
    _set_later: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    inbound_nodes: list[Node]
    outbound_nodes: list[Node]
    _constructed: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = super().__new__(cls)
        # What the constructor was given is the default config of classes that write no `get_config`.
        object.__setattr__(instance, "_constructed", (args, kwargs))
        return instance

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = auto_name(type(self).__name__)
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"`name` must be a string without '/'. Received: {name!r}")
        self.name = name
        self.inbound_nodes = []
        self.outbound_nodes = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any_symbolic((args, kwargs)):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the operation computes; every subclass says it."""
        raise NotImplementedError(f"{type(self).__name__} must define `call()`.")

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Placeholders of what a call would return; the call is remembered."""
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Placeholders like what `call` returns for these arguments; nothing is computed.

        Raises:
            ValueError, TypeError: the arguments do not fit; the message names the operation.
        """
        try:
            return infer_specs(self.call, args, kwargs, self._divisor())
        except (ValueError, TypeError) as error:
            kind = ValueError if isinstance(error, ValueError) else TypeError
            raise kind(f"{type(self).__name__} {self.name!r}: {error}") from error
        except CaptureError as error:
            raise ValueError(
                f"The output shape of {type(self).__name__} {self.name!r} cannot be inferred: {error} Use operations "
                "of `engine.ops` only, or define `compute_output_shape()`."
            ) from error

    def _divisor(self) -> int:
        """What has to divide free lengths for their shapes to be inferred."""
        return 1

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to make an equal one; for subclasses with plain constructor arguments as it is."""
        return {"name": self.name, **self._constructor_config()}

    def _constructor_config(self, skip: Sequence[str] = ("name",)) -> dict[str, Any]:
        """The constructor's arguments by name, but those to `skip`.

        Raises:
            ValueError: an argument is no plain value: the class has to write its own `get_config`.
        """
        args, kwargs = self._constructed
        bound = inspect.signature(type(self).__init__).bind(self, *args, **kwargs)
        bound.apply_defaults()
        config: dict[str, Any] = {}
        for index, parameter in enumerate(bound.signature.parameters.values()):
            value = bound.arguments[parameter.name]
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                config.update(value)
            elif parameter.kind is inspect.Parameter.VAR_POSITIONAL and value:
                config[parameter.name] = object()  # has no place in a config: refused below
            elif index and parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
                config[parameter.name] = value
        for key in skip:
            config.pop(key, None)
        for key, value in config.items():
            if not all(leaf is None or isinstance(leaf, (str, int, float, bool)) for leaf in tree.flatten(value)):
                raise ValueError(
                    f"{type(self).__name__} was given {key}={value!r}, which is no plain value. To be saved, the class "
                    "must define `get_config()`."
                )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """An instance made from what `get_config` returned."""
        return cls._from_recorded(config) if cls.get_config is Operation.get_config else cls(**config)

    @classmethod
    def _from_recorded(cls, config: dict[str, Any]) -> Any:
        """An instance made from a config that nobody wrote by hand.

        Such a config holds more than the constructor's own arguments; what the constructor does not take is set after.
        """
        parameters = inspect.signature(cls.__init__).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            return cls(**config)
        later = {key: config[key] for key in cls._set_later if key in config and key not in parameters}
        item = cls(**{key: value for key, value in config.items() if key not in later})
        for key, value in later.items():
            item._set_recorded(key, value)
        return item

    def _set_recorded(self, key: str, value: Any) -> None:
        """Sets one of `_set_later` to its value in a config."""
        setattr(self, key, value)

    def _single_node(self, what: str) -> Node:
        if not self.inbound_nodes:
            raise AttributeError(f"{type(self).__name__} {self.name!r} was never called symbolically: no `{what}` yet.")
        return self.inbound_nodes[0]

    @property
    def input(self) -> Any:
        """The placeholders of the first symbolic call; a single one by itself."""
        tensors = self._single_node("input").input_tensors
        if self._single_node("input").is_input:
            tensors = self._single_node("input").output_tensors
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def output(self) -> Any:
        """The results of the first symbolic call; a single one by itself."""
        tensors = self._single_node("output").output_tensors
        return tensors[0] if len(tensors) == 1 else tensors
