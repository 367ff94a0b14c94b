"""MultiHeadAttention: attention of several heads along any axes (Vaswani et al., 2017)."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from engine import ops
from engine.layers.headed_attention import SUBLAYER_OPTIONS, HeadedAttention
from engine.registry import registered, serialize


def projection_equation(free: int, bound: int, made: int) -> tuple[str, str]:
    """The einsum equation of a projection, and the labels of its bias.

    Args:
        free: how many axes stay as they are.
        bound: how many after them are summed over.
        made: how many come in their place.
    """
    kept, summed = string.ascii_lowercase[:free], string.ascii_lowercase[free : free + bound]
    new = string.ascii_lowercase[free + bound : free + bound + made]
    return f"{kept}{summed},{summed}{new}->{kept}{new}", new


def attention_equations(rank: int, axes: Sequence[int]) -> tuple[str, str]:
    """The einsum equations of queries and keys to scores, and of scores and values to outputs.

    Args:
        rank: of the projected queries (batch, …, heads, dim).
        axes: along which queries attend.

    Scores are (the other axes, heads, attended axes of the queries, attended axes of the keys).
    """
    query = string.ascii_lowercase[:rank]
    others = iter(string.ascii_lowercase[rank:])
    moved = {axis: next(others) for axis in sorted(axes)}
    source = "".join(moved.get(axis, label) for axis, label in enumerate(query))
    batch = "".join(query[axis] for axis in range(rank - 1) if axis not in axes)
    scores = batch + "".join(query[axis] for axis in axes) + "".join(source[axis] for axis in axes)
    return f"{query},{source}->{scores}", f"{scores},{source}->{query}"


@registered("keras.layers")
class MultiHeadAttention(HeadedAttention):
    """Each query gets the mean of the values, weighted by how well their keys fit it, for each head.

    Call arguments: `query` (batch, …, features), `value`, `key` (default: the values); `query_mask`, `value_mask` and
    `key_mask` (batch, time), by default those that lie on the inputs; `attention_mask` (batch, queries, values), True
    where a query may attend; `return_attention_scores`: the weights (batch, heads, queries, values) are returned too;
    `use_causal_mask`: later values are out of sight.

    Args:
        num_heads: how many heads there are.
        key_dim: the length of queries and keys of a head.
        value_dim: that of values; default: `key_dim`.
        dropout: the share of weights set to 0 while training.
        use_bias: whether the projections have biases.
        output_shape: of the outputs besides batch and time; default: as the queries'.
        attention_axes: along which queries attend; default: all but batch and features.
        sliding_window: queries attend to values less than so many steps away; default: to all.
        flash_attention: how Keras computes; no effect here.
        kernel_…, bias_…, activity_regularizer: initializers, regularizers and constraints of each projection.
        use_gate: a projection of the queries through a sigmoid multiplies what the heads give (arXiv:2505.06708).
        seed: of the dropout.
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
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
            key_dim if isinstance(key_dim, int) and key_dim > 0 else 1,
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
        self._check_count("num_heads", num_heads)
        self._check_count("key_dim", key_dim)
        self._check_count("value_dim", value_dim, optional=True)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = key_dim if value_dim is None else value_dim
        self._output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape or None
        if self._output_shape is not None:
            self._output_shape = tuple(self._output_shape)
        self.attention_axes = (
            (attention_axes,) if isinstance(attention_axes, int) else attention_axes and tuple(attention_axes)
        )

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(value_shape, key_shape)
        heads, value_length = self.num_heads, self.value_dim

        def projection(name: str, shape: Any, length: int, activation: Any = None) -> Any:
            equation, bias_axes = projection_equation(len(shape) - 1, 1, 2)
            made = (*(None,) * (len(shape) - 2), heads, length)
            layer = self._projected(name, equation, made, bias_axes, activation)
            layer.build(shape)
            return layer

        self.query_dense = projection("query", query_shape, self.key_dim)
        self.key_dense = projection("key", key_shape, self.key_dim)
        if self.use_gate:
            self._gate_dense = projection("gate", query_shape, value_length, "sigmoid")
        self.value_dense = projection("value", value_shape, value_length)
        rank = len(value_shape) + 1
        if self.attention_axes is None:
            self.attention_axes = tuple(range(1, rank - 2))
        else:
            self.attention_axes = tuple(axis % (rank - 1) for axis in self.attention_axes)
        self._score_equation, self._combine_equation = attention_equations(rank, self.attention_axes)
        attended = len(self.attention_axes)
        scores_rank = len(self._score_equation.rpartition(">")[2])
        self._build_weighting(tuple(range(scores_rank - attended, scores_rank)))
        output_shape = self._output_shape or (query_shape[-1],)
        equation, bias_axes = projection_equation(len(query_shape) - 1, 2, len(output_shape))
        made = (*(None,) * (len(query_shape) - 2), *output_shape)
        self.output_dense = self._projected("attention_output", equation, made, bias_axes)
        self.output_dense.build((*query_shape[:-1], heads, value_length))

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
        outputs, scores = self._attend(
            self.query_dense(query),
            self.key_dense(key),
            self.value_dense(value),
            mask,
            training,
            return_attention_scores,
            len(self.attention_axes or (1,)),
        )
        if self.use_gate:
            outputs = ops.multiply(outputs, self._gate_dense(query))
        outputs = self.output_dense(outputs)
        return (outputs, scores) if return_attention_scores else outputs

    def compute_output_shape(  # type: ignore[override]  # of several arguments
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> Any:
        self._check_shapes(value_shape, value_shape if key_shape is None else key_shape)
        return (*query_shape[:-1], *(self._output_shape or query_shape[-1:]))

    def get_config(self) -> dict[str, Any]:
        own = ("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "use_gate", "attention_axes")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in (*own, "sliding_window", "seed")},
            **{name: serialize(option) for name, option in self._projection.items()},
            "output_shape": self._output_shape,
        }
