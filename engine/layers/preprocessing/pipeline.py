"""Pipeline: preprocessing layers one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.layers.layer import Layer
from engine.registry import deserialize, registered, serialize


@registered("keras.layers")
class Pipeline(Layer):
    """Applies layers one after the other.

    Args:
        layers: layers, or other callables of one argument.
    """

    def __init__(self, layers: Sequence[Any], name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._pipeline_layers = list(layers)

    @property
    def layers(self) -> list[Any]:
        """The layers, in their order."""
        return self._pipeline_layers

    def call(self, inputs: Any, training: bool | None = True, mask: Any = None) -> Any:
        for layer in self._pipeline_layers:
            signature = getattr(layer, "_call_signature", None)
            options: dict[str, Any] = {}
            if signature is not None and signature.takes_training and training is not None:
                options["training"] = training
            if signature is not None and signature.takes_mask and mask is not None:
                options["mask"] = mask
            inputs = layer(inputs, **options)
            mask = layer.compute_mask(inputs, mask) if isinstance(layer, Layer) and mask is not None else None
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {"layers": serialize(self._pipeline_layers), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Pipeline:
        layers = config.get("layers")
        if not isinstance(layers, (list, tuple)):
            raise ValueError(f"The config of a Pipeline must list its layers. Received: {layers!r}")
        return cls(**{**config, "layers": [deserialize(layer) for layer in layers]})
