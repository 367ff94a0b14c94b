"""ReversibleEmbedding: an embedding that also goes back: from vectors to a score for each number."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.embedding import Embedding
from engine.registry import registered
from engine.tensor import Value


@registered("keras.layers")
class ReversibleEmbedding(Embedding):
    """The vector of each number; called with `reverse=True` on vectors (…, output_dim), scores (…, input_dim).

    Args:
        input_dim, output_dim: how many vectors, and their length.
        tie_weights: scores are products with the vectors themselves; else with weights of their own.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: of the vectors.
        mask_zero: entries that are 0 are padding.
        reverse_dtype: in which scores are computed; default: the compute dtype.
        logit_soft_cap: scores stay within ± this number, by tanh.
    """

    _config_attributes = (
        *Embedding._config_attributes,
        "tie_weights",
        "reverse_dtype",
        "logit_soft_cap",
    )

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.tie_weights = tie_weights
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            **kwargs,
        )
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        if not self.tie_weights and "reverse_embeddings" not in vars(self):
            self.reverse_embeddings = self.add_weight(
                (self.output_dim, self.input_dim),
                name="reverse_embeddings",
                initializer=self.embeddings_initializer,
            )

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            vectors = super().call(inputs)
            if self.mask_zero and isinstance(vectors, Value):
                vectors._keras_mask = super().compute_mask(inputs)
            return vectors
        dtype = self.reverse_dtype or self.compute_dtype
        inputs = ops.cast(inputs, dtype)
        if self.tie_weights:
            scores = ops.einsum("...a,ba->...b", inputs, ops.cast(self.embeddings, dtype))
        else:
            scores = ops.matmul(inputs, ops.cast(self.reverse_embeddings, dtype))
        if self.logit_soft_cap is None:
            return scores
        return ops.tanh(scores / self.logit_soft_cap) * self.logit_soft_cap

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None  # the vectors carry it, scores have none

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return self._inferred_spec(args, kwargs)

    def compute_output_shape(self, input_shape: Any, reverse: bool = False) -> Any:
        return (*input_shape[:-1], self.input_dim) if reverse else (*input_shape, self.output_dim)
