"""Integers as vectors: one place for each integer."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.layer import Layer
from engine.registry import registered

MODES = ("one_hot", "multi_hot", "count")


def encoded(indices: Any, mode: str, depth: int, dtype: Any, weights: Any = None) -> Any:
    """Integers (…, tokens) as vectors of length `depth`; integers outside of [0, depth) leave no trace.

    Args:
        mode: "int" (the integers in `dtype`), "one_hot" (a vector for each; a last axis of length 1 goes),
            "multi_hot" (a vector for each row, 1 where a token occurs) or "count" (how often it does).
        weights: what each token counts, for "count".
    """
    if mode == "int":
        return ops.cast(indices, dtype)
    indices = ops.expand_dims(indices, 0) if indices.ndim == 0 else indices
    if mode == "one_hot":
        if indices.ndim > 1 and indices.shape[-1] == 1:
            indices = ops.squeeze(indices, -1)
        return ops.one_hot(indices, depth, dtype=dtype)
    axis = 1 if indices.ndim > 1 else 0
    places = ops.one_hot(indices, depth, dtype=dtype)
    if mode == "multi_hot":
        return ops.max(places, axis=axis)
    if weights is not None:
        places = places * ops.expand_dims(ops.cast(weights, dtype), -1)
    return ops.sum(places, axis=axis)


def encoded_shape(shape: Any, mode: str, depth: int) -> tuple[Any, ...]:
    """The shape of what `encoded` makes of integers of a shape."""
    shape = tuple(shape)
    if mode == "int":
        return shape
    if mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth) if shape else (depth,)
    return (*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,)


def check_dense(layer: Layer, sparse: bool) -> None:
    """Raises ValueError where a layer is asked for sparse tensors."""
    if sparse:
        raise ValueError(f"Layer {layer.name!r}: sparse=True is not supported; its outputs are dense.")


@registered("keras.layers")
class CategoryEncoding(Layer):
    """Integers (…, tokens) from 0 to `num_tokens` - 1 as vectors of this length.

    Args:
        num_tokens: how many different integers there are.
        output_mode: "multi_hot" (default): for each row, 1 at the integers that occur; "one_hot": a vector for each
            integer; "count": for each row, how often each integer occurs.
        sparse: only False is supported.

    Integers out of range leave no trace.

    Raises:
        ValueError: no or a wrong number of tokens, an unknown mode; in calls, weights in another mode than "count".
    """

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_dense(self, sparse)
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        if output_mode not in MODES:
            raise ValueError(f"Layer {self.name!r}: `output_mode` is one of {MODES}. Received: {output_mode!r}")
        if not isinstance(num_tokens, int) or num_tokens < 1:
            raise ValueError(f"Layer {self.name!r}: `num_tokens` must be a positive integer. Received: {num_tokens!r}")
        self.num_tokens, self.output_mode, self.sparse = num_tokens, output_mode, sparse

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        """Args: inputs: integers (floats are cut off); count_weights: of their shape, for the mode "count"."""
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(f"`count_weights` need the output mode 'count'. Received: {self.output_mode!r}")
        indices = ops.cast(inputs, "int32")
        return encoded(indices, self.output_mode, self.num_tokens, self.compute_dtype, count_weights)

    def compute_output_shape(self, input_shape: Any, count_weights_shape: Any = None) -> Any:
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_tokens": self.num_tokens, "output_mode": self.output_mode}
