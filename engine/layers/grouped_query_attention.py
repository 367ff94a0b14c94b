"""GroupedQueryAttention: attention whose heads of queries share heads of keys and values (Ainslie et al., 2023)."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.headed_attention import SUBLAYER_OPTIONS, HeadedAttention
from engine.registry import registered, serialize


@registered("keras.layers", "GroupedQueryAttention", name="GroupQueryAttention")
class GroupedQueryAttention(HeadedAttention):
    """Attention along time, where so many heads of queries look at the same keys and values.

    Call arguments: as for `MultiHeadAttention`.

    Args:
        head_dim: the length of queries, keys and values of a head.
        num_query_heads: how many heads of queries there are: a multiple of the next.
        num_key_value_heads: how many heads of keys and values there are.
        dropout: the share of weights set to 0 while training.
        use_bias: whether the projections have biases.
        sliding_window: queries attend to values less than so many steps away; default: to all.
        flash_attention: how Keras computes; no effect here.
        kernel_…, bias_…, activity_regularizer: initializers, regularizers and constraints of each projection.
        use_gate: a projection of the queries through a sigmoid multiplies what the heads give (arXiv:2505.06708).
        seed: of the dropout.
    """

    _score_equation = "bquh,bkuh->buqk"
    _combine_equation = "buqk,bkuh->bquh"

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        super().__init__(
            head_dim if isinstance(head_dim, int) and head_dim > 0 else 1,
            dropout,
            use_bias,
            sliding_window,
            flash_attention,
            use_gate,
            {name: given[name] for name in SUBLAYER_OPTIONS},
            activity_regularizer,
            seed,
            **kwargs,
        )
        for name in ("head_dim", "num_query_heads", "num_key_value_heads"):
            self._check_count(name, given[name])
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"Layer {self.name!r}: `num_query_heads` must be a multiple of `num_key_value_heads`. Received: "
                f"{num_query_heads} and {num_key_value_heads}"
            )
        self.head_dim = head_dim
        self.num_query_heads = num_query_heads
        self.num_key_value_heads = num_key_value_heads

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        features, heads, shared = query_shape[-1], self.num_query_heads, self.num_key_value_heads
        self._query_dense = self._projected("query", "bqm,muh->bquh", (None, heads, self.head_dim), "uh")
        self._query_dense.build(query_shape)
        self._key_dense = self._projected("key", "bkm,mvh->bkvh", (None, shared, self.head_dim), "vh")
        self._key_dense.build(key_shape)
        if self.use_gate:
            self._gate_dense = self._projected(
                "gate", "bqm,muh->bquh", (None, heads, self.head_dim), "uh", activation="sigmoid"
            )
            self._gate_dense.build(query_shape)
        self._value_dense = self._projected("value", "bkm,mvh->bkvh", (None, shared, self.head_dim), "vh")
        self._value_dense.build(value_shape)
        self._build_weighting(-1)
        self._output_dense = self._projected("attention_output", "bquh,uhm->bqm", (None, features), "m")
        self._output_dense.build((None, None, heads, self.head_dim))

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        masks = (query_mask, value_mask, key_mask)
        mask = self._combined_mask(query, value, masks, attention_mask, use_causal_mask)
        repeats = self.num_query_heads // self.num_key_value_heads
        keys, values = self._key_dense(key), self._value_dense(value)
        if repeats > 1:
            keys, values = ops.repeat(keys, repeats, axis=2), ops.repeat(values, repeats, axis=2)
        outputs, scores = self._attend(self._query_dense(query), keys, values, mask, training, return_attention_scores)
        if self.use_gate:
            outputs = ops.multiply(outputs, self._gate_dense(query))
        outputs = self._output_dense(outputs)
        return (outputs, scores) if return_attention_scores else outputs

    def compute_output_shape(  # type: ignore[override]  # of several arguments
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> Any:
        self._check_shapes(value_shape, value_shape if key_shape is None else key_shape)
        return tuple(query_shape)

    def get_config(self) -> dict[str, Any]:
        own = ("head_dim", "num_query_heads", "num_key_value_heads", "dropout", "use_bias", "use_gate")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in (*own, "sliding_window", "seed")},
            **{name: serialize(option) for name, option in self._projection.items()},
        }
