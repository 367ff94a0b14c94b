"""Model: a layer that can be trained, saved and summarised."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from engine.layers import calling, tracking
from engine.layers.layer import Layer
from engine.models.trainer import Trainer
from engine.ops.operation import KerasTensor
from engine.registry import registered

# Attributes of ours through which a model owns nothing that archives should see.
_INTERNAL = frozenset({"_compiled", "_functional", "_operations", "_predicting", "_results", "history", "optimizer"})


def is_functional_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether constructor arguments are those of a functional model: inputs and outputs."""
    return len(args) >= 2 or (len(args) == 1 and "outputs" in kwargs) or {"inputs", "outputs"} <= set(kwargs)


@registered("keras")
class Model(Trainer):
    """A model.

    `Model(inputs, outputs)` makes a functional model from placeholders (see `Functional`). Subclasses make layers in
    `__init__` and use them in `call(inputs, training=None)`.
    """

    # The class of functional models, which is a model itself and so comes later; its module sets this.
    _functional_kind: ClassVar[Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and is_functional_call(args, kwargs):
            return cls._functional_kind.__new__(cls._functional_kind, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._init_trainer()
        if is_functional_call(args, kwargs) and not isinstance(self, self._functional_kind):
            # A subclass that hands placeholders to its parent: from here on it is functional as well.
            self.__class__ = self._functional_kind.extending(type(self))
            self._functional_kind.__init__(self, *args, **kwargs)
            return
        if args:
            raise TypeError(f"{type(self).__name__} takes inputs and outputs, or named arguments. Received: {args!r}")
        Layer.__init__(self, **kwargs)

    # Layers -----------------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Any]:
        """The layers directly below the model."""
        return self._flatten_layers(include_self=False, recursive=False)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """A layer by its name or by its place in `layers`.

        Raises:
            ValueError: there is none, or not exactly one of the two was given.
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise ValueError(f"Give either a name or an index of a layer. Received: name={name!r}, index={index!r}")
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"There is no layer {index}: the model has {len(layers)} layers.")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"There is no layer {name!r}. The model's layers: {', '.join(item.name for item in layers)}")

    def build(self, input_shape: Any) -> None:
        """Builds the layers for inputs of a shape (or nest of shapes), None where a dimension is free."""
        placeholders = calling.map_shapes(
            lambda shape: KerasTensor(shape, self.compute_dtype), calling.as_shapes(input_shape)
        )
        if type(self).call is not Layer.call and any(not layer.built for layer in self.layers):
            self.compute_output_spec(placeholders)
        self.built = True

    def _build_for(self, arguments: dict[str, Any]) -> None:
        if type(self).build is Model.build:
            # Layers build themselves when the call reaches them.
            self._build_shapes = {"input_shape": next(iter(calling.shapes_of(arguments).values()), None)}
            self.built = True
        else:
            super()._build_for(arguments)

    # Configuration and files ------------------------------------------------------------------------------------------

    def saveable_children(self) -> dict[str, Any]:
        found = {name: value for name, value in tracking.saveable_attributes(self).items() if name not in _INTERNAL}
        found["layers"] = self.layers
        if self.optimizer is not None:
            found["optimizer"] = self.optimizer
        ordered = sorted(found, key=lambda name: f"~{name}" if name.startswith("_") else name)
        return {name: found[name] for name in ordered}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """A model made from what `get_config` returned."""
        if {"layers", "input_layers", "output_layers"} <= set(config):
            kind: Any = cls if issubclass(cls, cls._functional_kind) else cls._functional_kind
            return kind.from_network_config(config, custom_objects)
        return super().from_config(config)

    def to_json(self, **kwargs: Any) -> str:
        """The model's architecture as JSON; `kwargs` go to `json.dumps`."""
        from engine.saving import text

        return text.to_json(self, **kwargs)

    def to_yaml(self, **kwargs: Any) -> str:
        """The model's architecture as YAML; `kwargs` go to `yaml.safe_dump`."""
        from engine.saving import text

        return text.to_yaml(self, **kwargs)

    def save(
        self, filepath: str | os.PathLike[str], overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Writes the model, weights and optimizer state included, as a ".keras" archive (`zipped=False`: a folder) or,
        where the path ends so, an ".h5" file."""
        from engine.saving import save_model

        if kwargs:
            raise ValueError(f"save: unknown arguments {', '.join(sorted(kwargs))}.")
        save_model(self, filepath, overwrite=overwrite, zipped=zipped)

    def save_weights(
        self, filepath: str | os.PathLike[str], overwrite: bool = True, max_shard_size: float | None = None
    ) -> None:
        """Writes the weights as a ".weights.h5" file, or as several; see `engine.saving.save_weights`."""
        from engine.saving import save_weights

        save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    def load_weights(
        self, filepath: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False
    ) -> None:
        """Reads weights from a ".weights.h5", ".keras" or old ".h5" file; see `engine.saving.load_weights`."""
        from engine.saving import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, by_name=by_name)

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "onnx",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Writes the model's prediction as an ONNX file, for other programs to run.

        Args:
            filepath: of the file.
            format: "onnx".
            verbose: whether a line says where the file is; default: not.
            input_signature: the shapes and dtypes of the inputs; default: the model's own.
            kwargs: `opset_version` (default 17), `channels_first_inputs`, `labels`, `external_data`; see
                `engine.onnx.writing.write_model`, which also says what is raised.
        """
        if format != "onnx":
            raise ValueError(f'export: expected format="onnx". Received: {format!r}')
        from engine.onnx.writing import write_model

        options = {("opset" if key == "opset_version" else key): value for key, value in kwargs.items()}
        write_model(self, filepath, input_signature=input_signature, **options)
        if verbose:
            print(f"Saved artifact at '{os.fspath(filepath)}'.")

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Prints a table of the layers; see `engine.models.summary.print_summary`."""
        from engine.models.summary import print_summary

        print_summary(
            self,
            line_length=line_length,
            print_fn=print_fn,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )

    def count_params(self) -> int:
        """The number of values in all weights; raises ValueError before the model is built."""
        if not self.built:
            raise ValueError(f"Model {self.name!r} is not built yet: call it, or `build()` it, to count parameters.")
        return sum(variable.size for variable in self.weights)
