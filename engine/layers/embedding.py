"""Embedding: vectors looked up by number; and Masking, which tells the layers after it which steps to skip."""

from __future__ import annotations

from typing import Any, ClassVar

from engine import constraints, initializers, ops, regularizers
from engine.layers.layer import Layer
from engine.ops.indexing import look_up
from engine.registry import registered
from engine.variable import Variable


@registered("keras.layers")
class Embedding(Layer):
    """The vector of each number: integers (batch, …) become (batch, …, output_dim).

    Args:
        input_dim: how many vectors there are; numbers lie below it.
        output_dim: their length.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: of the vectors.
        mask_zero: entries that are 0 are padding, which the layers after this one skip.
        weights: first values, (input_dim, output_dim).
        lora_rank, lora_alpha, quantization_config: taken for compatibility; only None is supported.
    """

    _config_attributes: ClassVar[tuple[str, ...]] = (
        "input_dim",
        "output_dim",
        "embeddings_initializer",
        "embeddings_regularizer",
        "embeddings_constraint",
        "mask_zero",
    )

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("input_length", None)  # Keras 2's
        super().__init__(**kwargs)
        for name, value in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise ValueError(f"Layer {self.name!r}: `{name}` must be a positive integer. Received: {value!r}")
        if any(option is not None for option in (lora_rank, lora_alpha, quantization_config)):
            raise ValueError(f"Layer {self.name!r}: LoRA and quantization of single layers are not supported.")
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.autocast = False  # the numbers must stay exact
        if weights is not None:
            self.build(None)
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1 else [weights])

    def build(self, input_shape: Any = None) -> None:
        if "embeddings" not in vars(self):
            self.embeddings: Variable = self.add_weight(
                (self.input_dim, self.output_dim),
                name="embeddings",
                initializer=self.embeddings_initializer,
                regularizer=self.embeddings_regularizer,
                constraint=self.embeddings_constraint,
            )

    def call(self, inputs: Any) -> Any:
        if inputs.dtype.name not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        return ops.cast(look_up(self.embeddings, inputs, self.name), self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "activity_regularizer": config.get("activity_regularizer"), "quantization_config": None}


@registered("keras.layers")
class Masking(Layer):
    """Marks the steps of (batch, time, features) whose features all equal a value, and makes them 0.

    Args:
        mask_value: the value.
    """

    _config_attributes = ("mask_value",)

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True
        self.built = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return ops.where(kept, inputs, 0.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
