"""Sequential: layers one after the other."""

from __future__ import annotations

from typing import Any

from engine.layers import calling
from engine.layers.layer import Layer
from engine.models.functional import Functional
from engine.models.model import Model
from engine.ops.operation import KerasTensor, Operation
from engine.registry import deserialize, registered, serialize


@registered("keras")
class Sequential(Model):
    """A model that gives its input to the first layer, that layer's output to the next, and so on.

    Args:
        layers: the layers, possibly with an `Input` first; without one the model is built by its first call.
        trainable, name: as in `Layer`.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return Operation.__new__(cls, *args, **kwargs)

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None, **kwargs: Any) -> None:
        self._init_trainer()
        Layer.__init__(self, trainable=trainable, name=name, **kwargs)
        self._sequence: list[Any] = []  # an InputLayer included
        self._functional: Functional | None = None
        taken: set[str] = set()
        for layer in layers or ():
            self._append(layer, taken)
        self._rebuild()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Appends a layer; one that knows its input shape, or an `Input`, as the first builds the model.

        Raises:
            ValueError: no layer, a name that is taken, or an input that is not the first.
        """
        self._append(layer, {known.name for known in self._sequence})
        if rebuild:
            self._rebuild()
        else:
            self._forget()

    def _append(self, layer: Any, taken: set[str]) -> None:
        """Appends a layer whose name is none of those that are taken, and adds it to them."""
        from engine.layers import InputLayer

        if isinstance(layer, KerasTensor) and layer.history is not None:
            layer = layer.history.operation  # `Input(...)` stands for its layer
        if not isinstance(layer, Layer):
            raise ValueError(f"Only layers can be added to Sequential {self.name!r}. Received: {layer!r}")
        if layer.name in taken:
            raise ValueError(f"Sequential {self.name!r} has a layer named {layer.name!r} already; names must differ.")
        if isinstance(layer, InputLayer) and self._sequence:
            raise ValueError(f"An input can only be the first layer of Sequential {self.name!r}.")
        shape = getattr(layer, "_input_shape_arg", None)
        if not self._sequence and shape is not None:
            self._sequence.append(InputLayer(batch_shape=(None, *shape)))
            taken.add(self._sequence[0].name)
        self._sequence.append(layer)
        taken.add(layer.name)

    def pop(self, rebuild: bool = True) -> Any:
        """Takes off the last layer and returns it."""
        if not self._sequence:
            raise ValueError(f"Sequential {self.name!r} has no layer to take off.")
        layer = self._sequence.pop()
        self._forget()
        if rebuild:
            self._rebuild()
        return layer

    def _forget(self) -> None:
        self._functional = None
        self.built = False
        self._build_shapes = None
        self._predicting.clear()

    def _rebuild(self) -> None:
        """Builds the model anew where the input's shape is known."""
        from engine.layers import InputLayer

        self._forget()
        if self._sequence and isinstance(self._sequence[0], InputLayer) and len(self._sequence) > 1:
            self.build(self._sequence[0].batch_shape)
        elif self._sequence and isinstance(self._sequence[0], Functional):
            self.build(self._sequence[0].input_shape)

    def build(self, input_shape: Any = None) -> None:
        """Builds all layers for inputs of a shape.

        Raises:
            ValueError: there is no layer, or a layer does not take what the one before gives.
        """
        from engine.layers import InputLayer

        if not self._sequence:
            raise ValueError(f"Sequential {self.name!r} has no layers to build.")
        if not isinstance(self._sequence[0], InputLayer):
            if input_shape is None:
                raise ValueError(f"Sequential {self.name!r} needs an input shape to be built.")
            self._sequence.insert(0, InputLayer(batch_shape=tuple(input_shape), dtype=self.compute_dtype))
        inputs = outputs = self._sequence[0].output
        for layer in self._sequence[1:]:
            outputs = layer(outputs)
        self._functional = Functional(inputs=inputs, outputs=outputs, name=self.name)
        self.built = True

    # Structure --------------------------------------------------------------------------------------------------------

    @property
    def _layers(self) -> list[Any]:
        return list(self._sequence)

    @property
    def layers(self) -> list[Any]:
        """The layers, an input left out."""
        from engine.layers import InputLayer

        layers = list(self._sequence)
        return layers[1:] if layers and isinstance(layers[0], InputLayer) else layers

    @property
    def input_layers(self) -> list[Any]:
        """The input, in a list; an empty one where the model has none yet."""
        return self._sequence[: len(self._sequence) - len(self.layers)]

    def _inner(self) -> Functional:
        if self._functional is None:
            raise AttributeError(f"Sequential {self.name!r} is not built yet: it has no inputs and outputs.")
        return self._functional

    @property
    def inputs(self) -> list[KerasTensor]:
        return self._inner().inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        return self._inner().outputs

    @property
    def input(self) -> Any:
        return self._inner().input

    @property
    def output(self) -> Any:
        return self._inner().output

    @property
    def input_shape(self) -> Any:
        return self._inner().input_shape

    @property
    def output_shape(self) -> Any:
        return self._inner().output_shape

    @property
    def input_dtype(self) -> str:
        """The dtype of the input where one is given, else the layer's."""
        return self.inputs[0].dtype.name if self._functional is not None else super().input_dtype

    def _known_outputs(self) -> Any:
        return None if self._functional is None else self._functional.output

    # Calls ------------------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if self._functional is not None:
            inputs = self._functional.arranged(inputs)
            self.input_spec = self._functional.input_spec
        return super().__call__(inputs, *args, **kwargs)

    def _build_for(self, arguments: dict[str, Any]) -> None:
        shapes = list(calling.shapes_of(arguments).values())
        self.build((None, *shapes[0][1:]))

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return self._inner().call(inputs, training=training, mask=mask)

    # Configuration ----------------------------------------------------------------------------------------------------

    def saveable_children(self) -> dict[str, Any]:
        found = {"layers": self.layers}
        if self.optimizer is not None:
            found["optimizer"] = self.optimizer
        return found

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._functional is None else {"input_shape": self.input_shape}

    def build_from_config(self, config: Any) -> None:
        if not self.built and config.get("input_shape") is not None:
            self.build(calling.as_shapes(config["input_shape"]))

    def get_config(self) -> dict[str, Any]:
        """The layers in order, an input included, and the shape for which the model is built."""
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize(self.dtype_policy),
            "layers": [serialize(layer) for layer in self._sequence],
        }
        if self._functional is not None:
            config["build_input_shape"] = self.input_shape
        return config

    @classmethod
    def from_config(cls, config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
        """A model from its config, in Keras 3's form or Keras 2's (a list of layers too)."""
        entries = config if isinstance(config, list) else config["layers"]
        fields = {} if isinstance(config, list) else config
        model = cls(name=fields.get("name"))
        for entry in entries:
            if "module" not in entry:
                entry = {**entry, "module": "keras.layers", "registered_name": None}
            model.add(deserialize(entry, custom_objects), rebuild=False)
        shape = fields.get("build_input_shape")
        model._rebuild()
        if not model.built and shape and model._sequence:
            model.build(calling.as_shapes(shape))
        if fields.get("trainable") is False:
            model.trainable = False
        return model
