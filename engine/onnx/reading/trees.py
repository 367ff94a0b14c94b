"""Ensembles of decision trees, as scikit-learn, LightGBM and XGBoost write them (ai.onnx.ml)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import ops
from engine.layers.extensions import TreeEnsemble
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import TRADITIONAL, operator
from engine.onnx.reading.scores import classified, transformed
from engine.onnx.reading.value import Value

_COMPARISONS = {
    "BRANCH_LEQ": "less_equal", "BRANCH_LT": "less", "BRANCH_GTE": "greater_equal", "BRANCH_GT": "greater",
    "BRANCH_EQ": "equal", "BRANCH_NEQ": "not_equal",
}  # fmt: skip


class Trees(NamedTuple):
    """The nodes of all trees as tables, by number."""

    numbers: dict[tuple[int, int], int]
    roots: NDArray[np.int32]
    features: NDArray[np.int32]
    next_true: NDArray[np.int32]
    next_false: NDArray[np.int32]
    modes: NDArray[np.int32]
    comparisons: list[str]
    missing_true: NDArray[np.bool_]
    thresholds: NDArray[np.float32]
    depth: int


@operator("TreeEnsembleRegressor", domain=TRADITIONAL)
def regressor(builder: Builder, node: Node) -> Value:
    """ONNX's TreeEnsembleRegressor: sums or means over the trees."""
    count = node.get("n_targets", 1)
    kind = node.get("aggregate_function", "SUM")
    if kind not in ("SUM", "AVERAGE"):
        node.refuse(f"the aggregate function {kind} is not supported")
    trees = _trees(node)
    scores = _scores(builder, node, trees, "target", count, 1 / len(trees.roots) if kind == "AVERAGE" else 1.0)
    return Value("", transformed(scores, node.get("post_transform", "NONE"), node))


@operator("TreeEnsembleClassifier", domain=TRADITIONAL)
def classifier(builder: Builder, node: Node) -> Sequence[Value]:
    """ONNX's TreeEnsembleClassifier: the class and the scores of all."""
    labels = node.get("classlabels_int64s") or node.get("classlabels_strings") or []
    ids = node.get("class_ids", [])
    is_binary = len(labels) == 2 and len(set(ids)) == 1
    scores = _scores(builder, node, _trees(node), "class", 1 if is_binary else len(labels), 1.0, is_binary)
    weights = _numbers(node, "class_weights")
    return classified(builder, node, scores, labels, is_binary, bool((weights >= 0).all()))


def _scores(
    builder: Builder, node: Node, trees: Trees, kind: str, count: int, factor: float, is_binary: bool = False
) -> Any:
    """Sums (batch, count) of what the leaves hold."""
    weights = _numbers(node, f"{kind}_weights")
    leaves = np.zeros((len(trees.numbers), count), np.float32)
    entries = zip(
        node.get(f"{kind}_treeids", []), node.get(f"{kind}_nodeids", []), node.get(f"{kind}_ids", []), weights,
        strict=True,
    )  # fmt: skip
    for tree, place, number, weight in entries:
        if not is_binary and not 0 <= number < count:
            raise ValueError(f"a leaf is for number {number} of {count}")
        leaves[trees.numbers[tree, place], 0 if is_binary else number] += weight * factor
    layer = TreeEnsemble(
        len(trees.roots), len(leaves), count, trees.depth, trees.comparisons, name=builder.name(), dtype="float32"
    )
    tables = [
        trees.roots, trees.features, trees.next_true, trees.next_false, trees.modes, trees.missing_true,
        trees.thresholds, leaves,
    ]  # fmt: skip
    inputs = ops.cast(builder.as_file(node[0]), "float32")
    # Weights that are trained come first in a layer's list, whatever the order in which it makes them.
    scores = builder.layer(layer, inputs, weights=[tables[-1], *tables[:-1]])
    base = _numbers(node, "base_values")
    if base.size:
        if base.size not in (1, count):
            raise ValueError(f"it has {base.size} base values for {count} scores")
        scores = ops.add(scores, ops.convert_to_tensor(np.broadcast_to(base.astype(np.float32), (count,)).copy()))
    return scores


def _numbers(node: Node, name: str) -> NDArray[Any]:
    tensor = node.get(f"{name}_as_tensor")
    return np.asarray(node.get(name, []) if tensor is None else tensor, np.float64).ravel()


def _trees(node: Node) -> Trees:
    """The tables of a node's trees.

    Raises:
        ValueError: lists of different lengths, nodes that lead nowhere or in a circle.
    """
    lists = {
        name: node.get(f"nodes_{name}", [])
        for name in ("treeids", "nodeids", "featureids", "modes", "truenodeids", "falsenodeids")
    }
    count = len(lists["nodeids"])
    thresholds = _numbers(node, "nodes_values")
    missing = node.get("nodes_missing_value_tracks_true") or [0] * count
    if not count or {*map(len, lists.values()), len(thresholds), len(missing)} != {count}:
        raise ValueError("its lists of nodes have different lengths, or are empty")
    keys = list(zip(lists["treeids"], lists["nodeids"], strict=True))
    numbers = {key: number for number, key in enumerate(keys)}
    if len(numbers) != count:
        raise ValueError("it has two nodes of the same number in one tree")
    modes = lists["modes"]
    unknown = set(modes) - {*_COMPARISONS, "LEAF"}
    if unknown:
        node.refuse(f"nodes of the kind {sorted(unknown)[0]} are not supported")
    own = np.arange(count)
    targets: list[NDArray[np.int32]] = []
    for name in ("truenodeids", "falsenodeids"):
        numbered = [
            number if mode == "LEAF" else numbers.get((key[0], target), -1)
            for number, (key, mode, target) in enumerate(zip(keys, modes, lists[name], strict=True))
        ]
        targets.append(np.asarray(numbered, np.int32))
    if min(int(found.min()) for found in targets) < 0:
        raise ValueError("a node leads to one that is not in its tree")
    is_child = np.zeros(count, bool)
    for found in targets:
        is_child[found[found != own]] = True
    first: dict[int, int] = {}
    for number, (tree, _) in enumerate(keys):
        if not is_child[number]:
            first.setdefault(tree, number)
    if len(first) != len({tree for tree, _ in keys}):
        raise ValueError("a tree has no root: its nodes lead in a circle")
    comparisons = sorted({_COMPARISONS[mode] for mode in modes if mode != "LEAF"}) or ["less_equal"]
    kinds = [comparisons.index(_COMPARISONS[mode]) if mode != "LEAF" else 0 for mode in modes]
    roots = np.asarray([first[tree] for tree in sorted(first)], np.int32)
    return Trees(
        numbers=numbers,
        roots=roots,
        features=np.asarray(lists["featureids"], np.int32),
        next_true=targets[0],
        next_false=targets[1],
        modes=np.asarray(kinds, np.int32),
        comparisons=comparisons,
        missing_true=np.asarray(missing, bool),
        thresholds=thresholds.astype(np.float32),
        depth=_depth(roots, targets, own),
    )


def _depth(roots: NDArray[np.int32], targets: list[NDArray[np.int32]], own: NDArray[np.int64]) -> int:
    """The most steps from a root to a leaf."""
    current, steps = np.unique(roots), 0
    while True:
        inner = current[(targets[0][current] != own[current]) | (targets[1][current] != own[current])]
        if not len(inner):
            return steps
        steps += 1
        if steps > len(own):
            raise ValueError("its nodes lead in a circle")
        current = np.unique(np.concatenate([targets[0][inner], targets[1][inner]]))
