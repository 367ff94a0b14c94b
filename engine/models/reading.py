"""Functional models from configs: layers first, then their calls, as soon as the inputs of each exist."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from engine.ops.operation import KerasTensor, Operation, any_symbolic
from engine.registry import custom_object_scope, deserialize


def functional_from_config(kind: type, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """A functional model from its config, in Keras 3's form or Keras 2's.

    Args:
        kind: the class to make.

    Raises:
        ValueError: a call whose inputs never come to be, or a config that names a layer it does not hold.
    """
    with custom_object_scope(custom_objects):
        return _Reader(config).model(kind)


class _Reader:
    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._layers: dict[str, Operation] = {}
        self._first: dict[str, int] = {}  # calls that a layer had before this model's
        self._waiting: list[tuple[str, Any]] = []
        for entry in config["layers"]:
            layer = deserialize(_with_module(entry))
            name = entry.get("name", entry["config"]["name"])
            if name in self._layers:
                raise ValueError(f"The config of model {config.get('name')!r} has two layers named {name!r}.")
            self._layers[name] = layer
            self._first[name] = 0 if _is_input_layer(layer) else len(layer.inbound_nodes)
            self._waiting += [(name, node) for node in entry.get("inbound_nodes", ())]

    def model(self, kind: Any) -> Any:
        self._call_all()
        inputs = self._structure(self._config["input_layers"])
        outputs = self._structure(self._config["output_layers"])
        model = kind(inputs=inputs, outputs=outputs, name=self._config.get("name"))
        if self._config.get("trainable") is False:
            model.trainable = False
        return model

    def _call_all(self) -> None:
        # The calls of one layer keep their order, since they are known by number.
        while self._waiting:
            remaining: list[tuple[str, Any]] = []
            blocked: set[str] = set()
            for name, node in self._waiting:
                if name in blocked or not self._call(name, node):
                    blocked.add(name)
                    remaining.append((name, node))
            if len(remaining) == len(self._waiting):
                raise ValueError(
                    f"The config of model {self._config.get('name')!r} cannot be followed: the inputs of a call of "
                    f"{remaining[0][0]!r} never come to be."
                )
            self._waiting = remaining

    def _call(self, name: str, node: Any) -> bool:
        args, kwargs = _arguments(node, self._layers)
        try:
            args, kwargs = self._filled(args), self._filled(kwargs)
        except _NotYetError:
            return False
        layer = self._layers[name]
        if not any_symbolic((args, kwargs)) and not getattr(layer, "folds_numbers", False):
            # Called on numbers alone it would compute at once, as much as the file asks for.
            raise ValueError(
                f"The config of model {self._config.get('name')!r} calls {name!r} on none of the model's tensors."
            )
        if hasattr(layer, "_call_signature") and "mask" in kwargs and kwargs["mask"] is None:
            del kwargs["mask"]  # Keras writes it for models; it says nothing
        layer(*args, **kwargs)
        return True

    def _filled(self, item: Any) -> Any:
        """Arguments with placeholders in place of their descriptions."""
        if isinstance(item, list):
            return [self._filled(value) for value in item]
        if not isinstance(item, dict):
            return item
        if item.get("class_name") == "__keras_tensor__":
            return self._tensor(*item["config"]["keras_history"])
        if "class_name" in item and "config" in item:
            return deserialize(item)
        return {key: self._filled(value) for key, value in item.items()}

    def _tensor(self, name: str, node_index: int, tensor_index: int) -> KerasTensor:
        layer = self._layers.get(name)
        if layer is None:
            raise ValueError(
                f"The config of model {self._config.get('name')!r} names a layer {name!r} it does not hold."
            )
        nodes = layer.inbound_nodes[self._first[name] :]
        if node_index >= len(nodes):
            raise _NotYetError
        return nodes[node_index].output_tensors[tensor_index]

    def _structure(self, item: Any) -> Any:
        """Placeholders in the nest of [name, call, number] triples."""
        if isinstance(item, dict):
            return {key: self._structure(value) for key, value in item.items()}
        if len(item) == 3 and isinstance(item[0], str) and isinstance(item[1], int):
            return self._end(*item)
        return [self._structure(value) for value in item]

    def _end(self, name: str, node_index: int, tensor_index: int) -> KerasTensor:
        if hasattr(self._layers.get(name), "from_network_config"):  # a functional model
            node_index = max(node_index - 1, 0)  # Keras counts a call of its own there
        try:
            return self._tensor(name, node_index, tensor_index)
        except _NotYetError:
            raise ValueError(f"The config names call {node_index} of layer {name!r}, which there is not.") from None


_CONSTANT = "_CONSTANT_VALUE"
"""What tf.keras wrote for the name of a layer where an argument is no tensor."""


class _NotYetError(Exception):
    """An argument has not been computed yet."""


def _is_input_layer(layer: Any) -> bool:
    return len(layer.inbound_nodes) == 1 and layer.inbound_nodes[0].is_input


def _with_module(entry: dict[str, Any]) -> dict[str, Any]:
    """The object's fields alone; entries of old files have no module."""
    fields = {key: value for key, value in entry.items() if key not in ("name", "inbound_nodes")}
    fields.setdefault("module", "keras.layers")
    fields.setdefault("registered_name", None)
    return fields


def _arguments(node: Any, layers: Container[str]) -> tuple[list[Any], dict[str, Any]]:
    """(args, kwargs) of a call in either form."""
    if isinstance(node, dict):
        return list(node["args"]), dict(node["kwargs"])
    tensors: list[Any] = []
    kwargs: dict[str, Any] = {}
    for item in [node] if node and isinstance(node[0], str) else node:
        # A constant in the place of a tensor has its value where a tensor has the number of the output.
        constant = item[0] == _CONSTANT and item[0] not in layers
        tensors.append(item[2] if constant else _former_tensor(item[:3]))
        if len(item) == 4:
            kwargs.update({key: _former_argument(value, layers) for key, value in item[3].items()})
    return [tensors[0] if len(tensors) == 1 else tensors], kwargs


def _former_tensor(place: list[Any]) -> dict[str, Any]:
    """Keras 3's form of a placeholder that Keras 2 wrote as [layer, call, number]."""
    name, node_index, tensor_index = place
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, node_index, tensor_index]}}


def _former_argument(value: Any, layers: Container[str]) -> Any:
    """A named argument of Keras 2, which may be such a placeholder, or a list of them."""
    if not isinstance(value, list):
        return value
    is_place = len(value) == 3 and isinstance(value[0], str) and all(isinstance(item, int) for item in value[1:])
    if is_place and value[0] in layers:
        return _former_tensor(value)
    return [_former_argument(item, layers) for item in value]
