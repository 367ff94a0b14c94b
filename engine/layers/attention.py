"""Attention of one head without projections: by products of queries and keys, or by their sums."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from engine import ops, random
from engine.layers.layer import Layer
from engine.random import SeedGenerator
from engine.registry import registered
from engine.variable import Variable


@registered("keras.layers")
class Attention(Layer):
    """Each query gets the mean of the values, weighted by products of the query with their keys (Luong et al., 2015).

    It is called on [queries (batch, queries, dim), values (batch, values, …)] or [queries, values, keys]. Call
    arguments: `mask`, a list like the inputs; `return_attention_scores`: the weights (batch, queries, values) are
    returned too; `use_causal_mask`: later values are out of sight.

    Args:
        use_scale: products are multiplied by a learned number.
        score_mode: "dot": products; "concat": sums of tanh(query + key), times a learned number.
        dropout: the share of weights set to 0 while training.
        seed: of the dropout.
    """

    _config_attributes: ClassVar[tuple[str, ...]] = ("use_scale", "score_mode", "dropout", "seed")

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"Layer {self.name!r}: `score_mode` must be 'dot' or 'concat'. Received: {score_mode!r}")
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)
        self.scale: Variable | None = None
        self.concat_score_weight: Variable | None = None

    def build(self, input_shape: Any) -> None:
        self._check_inputs(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), name="scale", initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), name="concat_score_weight", initializer="ones")

    def _check_inputs(self, inputs: Any) -> None:
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3) or isinstance(inputs[0], int):
            raise ValueError(
                f"Layer {self.name!r} is called on a list [query, value] or [query, value, key]. Received: {inputs!r}"
            )

    def _scores(self, query: Any, key: Any) -> Any:
        """How well each key fits each query: (batch, queries, keys)."""
        if self.concat_score_weight is None:
            scores = ops.einsum("...qd,...kd->...qk", query, key)
            return scores if self.scale is None else scores * self.scale
        together = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        together = together if self.scale is None else together * self.scale
        return ops.sum(ops.tanh(together), axis=-1) * self.concat_score_weight

    def _weights(self, scores: Any, mask: Any, causal: bool, training: Any) -> Any:
        if mask is not None:
            mask = ops.expand_dims(ops.cast(mask, "bool"), -2)
        if causal:
            rows, columns = scores.shape[-2:]
            earlier = ops.convert_to_tensor(np.tri(rows, columns, dtype=bool))
            mask = earlier if mask is None else ops.logical_and(mask, earlier)
        if mask is not None:
            scores = ops.where(mask, scores, scores - (65504.0 if scores.dtype.name == "float16" else 1e9))
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        return weights

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool | None = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check_inputs(inputs)
        query, value = inputs[0], inputs[1]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = (None, None) if mask is None else (mask[0], mask[1])
        weights = self._weights(self._scores(query, key), value_mask, use_causal_mask, training)
        outputs = ops.matmul(weights, value)
        if query_mask is not None:
            outputs = ops.where(ops.expand_dims(ops.cast(query_mask, "bool"), -1), outputs, 0.0)
        return (outputs, weights) if return_attention_scores else outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None if mask is None or mask[0] is None else ops.convert_to_tensor(mask[0])

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return self._inferred_spec(args, kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], input_shape[1][-1])


@registered("keras.layers")
class AdditiveAttention(Attention):
    """Each query gets the mean of the values, weighted by sums of tanh(query + key) (Bahdanau et al., 2015).

    Args:
        use_scale: the terms of the sums are multiplied by learned numbers.
        dropout: the share of weights set to 0 while training.
        kwargs: `seed` of the dropout, and options of `Layer`.
    """

    _config_attributes = ("use_scale", "dropout", "seed")

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check_inputs(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), name="scale", initializer="glorot_uniform")

    def _scores(self, query: Any, key: Any) -> Any:
        terms = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        return ops.sum(terms if self.scale is None else terms * self.scale, axis=-1)
