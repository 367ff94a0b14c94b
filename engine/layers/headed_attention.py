"""HeadedAttention: what the attention layers of several heads share: their options, masks and the weighting."""

from __future__ import annotations

import math
from typing import Any

from engine import constraints, initializers, ops, regularizers
from engine.layers.activation import Softmax
from engine.layers.einsum_dense import EinsumDense
from engine.layers.layer import Layer
from engine.layers.regularization import Dropout

SUBLAYER_OPTIONS = tuple(
    f"{weight}_{part}" for part in ("initializer", "regularizer", "constraint") for weight in ("kernel", "bias")
)


class HeadedAttention(Layer):
    """Attention of several heads: queries, keys and values are projected, weighted, and projected back.

    Args:
        key_dim: the length of queries and keys of a head.
        dropout: the share of weights set to 0 while training.
        use_bias: whether the projections have biases.
        sliding_window: steps attend to those less than so many steps away; None: to all.
        flash_attention: how Keras computes; no effect here.
        use_gate: whether a projection of the queries through a sigmoid multiplies what the heads give.
        projection: initializers, regularizers and constraints of the projections, by Keras's names.
        activity_regularizer: of each projection's outputs.
        seed: of the dropout.
        options: of `Layer`.
    """

    # How the weights of one head come about, as einsum equations: queries and keys to scores, scores and values back.
    _score_equation: str
    _combine_equation: str

    def __init__(
        self,
        key_dim: int,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        use_gate: bool,
        projection: dict[str, Any],
        activity_regularizer: Any,
        seed: Any,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self._check_count("sliding_window", sliding_window, optional=True)
        if flash_attention and dropout > 0:
            raise ValueError(f"Layer {self.name!r}: flash attention has no dropout. Received: dropout={dropout}")
        self.dropout = dropout
        self.use_bias = use_bias
        self.use_gate = use_gate
        self.sliding_window = sliding_window
        self.seed = seed
        kinds = {"initializer": initializers.get, "regularizer": regularizers.get, "constraint": constraints.get}
        self._projection = {name: kinds[name.partition("_")[2]](projection[name]) for name in SUBLAYER_OPTIONS}
        self._projection["activity_regularizer"] = regularizers.get(activity_regularizer)
        self._scale = 1.0 / math.sqrt(key_dim)

    def _check_count(self, name: str, value: Any, optional: bool = False) -> None:
        if not (optional and value is None) and (not isinstance(value, int) or value <= 0):
            raise ValueError(
                f"Layer {self.name!r}: `{name}` must be a positive integer{' or None' * optional}. Received: {value!r}"
            )

    def _projected(self, name: str, equation: str, shape: Any, bias_axes: str, activation: Any = None) -> EinsumDense:
        """A projection with the options of this layer."""
        options = dict(self._projection)
        for weight in ("kernel_initializer", "bias_initializer"):
            # One of its own for each: a seed that was drawn would give all the same first values.
            options[weight] = type(options[weight]).from_config(options[weight].get_config())
        return EinsumDense(
            equation,
            output_shape=shape,
            bias_axes=bias_axes if self.use_bias else None,
            activation=activation,
            name=name,
            dtype=self.dtype_policy,
            **options,
        )

    def _build_weighting(self, axes: Any) -> None:
        """The layers that make weights of scores; axes: of the scores, over which the weights add up to 1."""
        self._softmax = Softmax(axis=axes, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)

    def _combined_mask(
        self, query: Any, value: Any, masks: tuple[Any, Any, Any], attention_mask: Any, causal: bool
    ) -> Any:
        """Which query (second to last axis) may attend to which value (last axis), bool, or None where all may.

        Args:
            query, value: the inputs, (batch, time, …).
            masks: of queries, values and keys, each (batch, time) or None.
            attention_mask: the caller's, (batch, queries, values), or None.
            causal: whether values that come later than a query are out of its sight.
        """
        found = [] if attention_mask is None else [ops.cast(attention_mask, "bool")]
        for mask, axis in zip(masks, (-1, -2, -2), strict=True):
            if mask is not None:
                found.append(ops.expand_dims(ops.cast(mask, "bool"), axis))
        if causal or self.sliding_window is not None:
            rows = ops.expand_dims(ops.arange(query.shape[1]), (0, 2))
            columns = ops.expand_dims(ops.arange(value.shape[1]), (0, 1))
            if causal:
                found.append(ops.greater_equal(rows, columns))
            if self.sliding_window is not None:
                found.append(ops.less(ops.abs(rows - columns), self.sliding_window))
        combined = None
        for mask in found:
            combined = mask if combined is None else ops.logical_and(combined, mask)
        return combined

    def _attend(
        self, query: Any, key: Any, value: Any, mask: Any, training: Any, with_scores: bool, attended_axes: int = 1
    ) -> tuple[Any, Any]:
        """What the heads give, and the weights with which they gave it.

        Args:
            query, key, value: projected, (batch, …, heads, dim).
            mask: see `_combined_mask`.
            training: whether weights are dropped.
            with_scores: whether the caller wants the weights.
            attended_axes: how many axes queries attend along.
        """
        scores = ops.einsum(self._score_equation, query * self._scale, key)
        if mask is not None:
            missing = scores.ndim - mask.ndim
            place = mask.ndim - 2 * attended_axes
            mask = ops.expand_dims(mask, list(range(place, place + missing))) if missing > 0 else mask
        if self.dropout == 0 and not with_scores and len(query.shape) == 4:
            # As Keras's fused attention: a query that may attend to nothing gets the mean of all values.
            if mask is not None:
                scores = ops.where(mask, scores, -3e4 if scores.dtype.name == "float16" else -1e30)
            weights = ops.softmax(scores, axis=-1)
        else:
            weights = self._softmax(scores, mask=mask)  # here it gets zeros
        dropped = self._dropout_layer(weights, training=training) if self.dropout > 0 else weights
        return ops.einsum(self._combine_equation, dropped, value), weights

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return self._inferred_spec(args, kwargs)

    def _check_shapes(self, value_shape: Any, key_shape: Any) -> None:
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"Layer {self.name!r}: values and keys must have the same shape but for the last axis. Received: "
                f"{tuple(value_shape)} and {tuple(key_shape)}"
            )
