"""TreeEnsemble: decision trees, all of them walked at once."""

from __future__ import annotations

from typing import Any

from engine import ops
from engine.layers.layer import Layer
from engine.registry import registered

COMPARISONS = ("less_equal", "less", "greater_equal", "greater", "equal", "not_equal")


@registered("beagle.layers")
class TreeEnsemble(Layer):
    """The sum of what the leaves of decision trees hold, one leaf of each tree for each example.

    Inputs are (batch, features). At each node the feature `features[node]` is compared with `thresholds[node]`; the
    example goes on to `next_true[node]` or `next_false[node]`. Leaves lead to themselves. The tables are variables that
    are not trained, but for the values of the leaves.

    Args:
        trees: how many.
        nodes: of all trees together, leaves included.
        outputs: how many numbers each leaf holds.
        depth: the most steps from a root to a leaf.
        comparisons: those that occur, names of `COMPARISONS`.
    """

    _config_attributes = ("trees", "nodes", "outputs", "depth", "comparisons")

    def __init__(
        self, trees: int, nodes: int, outputs: int, depth: int, comparisons: tuple[str, ...] | list[str], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not comparisons or not set(comparisons) <= set(COMPARISONS):
            raise ValueError(f"Layer {self.name!r}: `comparisons` must be some of {COMPARISONS}. Got {comparisons}")
        self.trees, self.nodes, self.outputs, self.depth = trees, nodes, outputs, depth
        self.comparisons = list(comparisons)

    def build(self, input_shape: Any) -> None:
        table: dict[str, Any] = {"initializer": "zeros", "trainable": False}
        self.roots = self.add_weight((self.trees,), dtype="int32", name="roots", **table)
        self.features = self.add_weight((self.nodes,), dtype="int32", name="features", **table)
        self.next_true = self.add_weight((self.nodes,), dtype="int32", name="next_true", **table)
        self.next_false = self.add_weight((self.nodes,), dtype="int32", name="next_false", **table)
        self.modes = self.add_weight((self.nodes,), dtype="int32", name="modes", **table)
        self.missing_true = self.add_weight((self.nodes,), dtype="bool", name="missing_true", **table)
        self.thresholds = self.add_weight((self.nodes,), name="thresholds", **table)
        self.leaves = self.add_weight((self.nodes, self.outputs), initializer="zeros", name="leaves")

    def call(self, inputs: Any) -> Any:
        batch = inputs.shape[0]
        place = ops.broadcast_to(ops.expand_dims(self.roots, 0), (batch, self.trees))
        for _ in range(self.depth):
            seen = ops.take_along_axis(inputs, ops.take(self.features, place, axis=0), axis=1)
            is_true = self._compare(seen, place)
            is_true = ops.logical_or(is_true, ops.logical_and(ops.isnan(seen), ops.take(self.missing_true, place, 0)))
            place = ops.where(is_true, ops.take(self.next_true, place, 0), ops.take(self.next_false, place, 0))
        return ops.sum(ops.take(self.leaves, place, axis=0), axis=1)

    def _compare(self, seen: Any, place: Any) -> Any:
        threshold = ops.take(self.thresholds, place, axis=0)
        results = [getattr(ops, name)(seen, threshold) for name in self.comparisons]
        chosen = results[0]
        if len(results) > 1:
            mode = ops.take(self.modes, place, axis=0)
            for number, result in enumerate(results[1:], 1):
                chosen = ops.where(ops.equal(mode, number), result, chosen)
        return chosen
