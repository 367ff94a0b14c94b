"""Lambda: a function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from engine import tree
from engine.layers import calling
from engine.layers.layer import Layer
from engine.registry import deserialize, find, get_registered_object, registered, serialize

_FORMER_KEYS = ("function_type", "module", "output_shape_type", "output_shape_module")


@registered("keras.layers")
class Lambda(Layer):
    """Calls a function of operations on its inputs.

    To be saved, functions must have a name by which they are registered (`register_keras_serializable`) or passed as
    `custom_objects`; files never hold code, and those that do are refused.

    Args:
        function: called on the inputs, with `arguments`, and with `training` and `mask` where it takes them.
        output_shape: of the outputs without the batch axis, or a function of the inputs' shape; default: inferred.
        mask: the mask of the outputs, or a function of the inputs and their mask; None: masks are not passed on.
        arguments: further arguments of the function, by name.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Layer {self.name!r}: `function` must be callable. Received: {function!r}")
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        parameters = inspect.signature(function).parameters
        self._passed = [name for name in ("mask", "training") if name in parameters]

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        given = {"mask": mask, "training": training}
        return self.function(inputs, **{**self.arguments, **{name: given[name] for name in self._passed}})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        batch = tree.flatten(input_shape)[0]
        return calling.map_shapes(lambda shape: (batch, *shape), self._output_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._output_shape is None:
            return self._inferred_spec(args, kwargs)
        return super().compute_output_spec(*args, **kwargs)

    def _written(self, item: Any) -> Any:
        if callable(item) and getattr(item, "__name__", "") == "<lambda>":
            raise ValueError(
                f"Layer {self.name!r} holds a Python lambda, which no file can name. Use a function registered with "
                "`register_keras_serializable` instead."
            )
        return serialize(item)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "function": self._written(self.function)}
        if self._output_shape is not None:
            config["output_shape"] = self._written(self._output_shape)
        if self.mask is not None:
            config["mask"] = self._written(self.mask)
        return {**config, "arguments": serialize(self.arguments)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        # Keras 2 says by further keys what kinds of functions there are.
        config = {key: value for key, value in config.items() if key not in _FORMER_KEYS}
        config["function"] = _known_function(config.get("function"), custom_objects)
        for key in ("output_shape", "mask"):
            if isinstance(config.get(key), dict):
                config[key] = _known_function(config[key], custom_objects)
        config["arguments"] = deserialize(config.get("arguments"), custom_objects)
        return cls(**config)


def _known_function(item: Any, custom_objects: Mapping[str, Any] | None) -> Callable[..., Any]:
    """The function that a config names: the user's own, or one of `keras.activations`.

    Raises:
        ValueError: code instead of a name.
        TypeError: no such function is registered.
    """
    name = item.get("config") if isinstance(item, dict) and item.get("class_name") == "function" else item
    if not isinstance(name, str):
        raise ValueError("A Lambda layer's config holds code. Code is never taken from files; nothing was run.")
    found = get_registered_object(name, custom_objects) or find(name, "keras.activations")
    if found is None:
        raise TypeError(
            f"A Lambda layer's config names the function {name!r}, which is not registered. Decorate it with "
            "`@engine.saving.register_keras_serializable(package, name)`, or pass it in `custom_objects`."
        )
    return found
