"""Support vector machines, as scikit-learn and LIBSVM write them (ai.onnx.ml)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import ops
from engine.layers.extensions import PairwiseProbabilities, PairwiseVotes, SupportVectors
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.linear import dense
from engine.onnx.reading.node import Node
from engine.onnx.reading.operators import TRADITIONAL, operator
from engine.onnx.reading.scores import label_of, transformed
from engine.onnx.reading.value import Value

CLASSES_LIMIT = 20
"""Classes up to which probabilities are computed: what that takes grows with their cube."""


@operator("SVMClassifier", domain=TRADITIONAL)
def support_vector_classifier(builder: Builder, node: Node) -> Sequence[Value]:
    """ONNX's SVMClassifier: the class with the most votes; probabilities, or the scores of all pairs of classes."""
    labels = node.get("classlabels_ints") or node.get("classlabels_strings") or []
    owners = np.repeat(np.arange(len(labels)), node.get("vectors_per_class") or [0] * len(labels))
    if len(labels) < 2:
        node.refuse(f"a choice among {len(labels)} classes is not supported")
    value = _floats(builder, node[0])
    if not owners.size:
        return _linear(builder, node, value, labels)
    pairs = list(combinations(range(len(labels)), 2))
    coefficients = _numbers(node, "coefficients", (len(labels) - 1) * owners.size).reshape(-1, owners.size)
    weights = np.zeros((owners.size, len(pairs)), np.float32)
    for column, (first, second) in enumerate(pairs):
        for own, row in ((first, second - 1), (second, first)):
            weights[owners == own, column] = coefficients[row, owners == own]
    offsets = _numbers(node, "rho", len(pairs))
    likeness = _kernels(builder, node, value, owners.size)
    scores = dense(builder, Value("", likeness), weights, offsets).tensor
    votes = PairwiseVotes(len(labels), name=builder.name("_votes"), dtype="float32")(scores)
    label = label_of(ops.argmax(votes, axis=-1), labels)
    transform = node.get("post_transform", "NONE")
    if node.get("prob_a"):
        if len(labels) > CLASSES_LIMIT:
            node.refuse(f"probabilities of {len(labels)} classes are not supported; {CLASSES_LIMIT} are")
        layer = PairwiseProbabilities(len(labels), name=builder.name("_probabilities"), dtype="float32")
        platt = [_numbers(node, "prob_a", len(pairs)), _numbers(node, "prob_b", len(pairs))]
        scores = builder.layer(layer, scores, weights=platt)
    elif len(labels) == 2:
        if transform != "NONE":
            node.refuse(f"the post_transform {transform} of the score of one pair is not supported")
        scores = ops.concatenate([ops.negative(scores), scores], axis=-1)
    return label, Value("", transformed(scores, transform, node))


def _linear(builder: Builder, node: Node, value: Value, labels: Sequence[Any]) -> Sequence[Value]:
    """A score for each class, all with the same offset."""
    coefficients = np.asarray(node.get("coefficients", []), np.float32)
    features = value.static_shape[-1] or 0
    if coefficients.size != len(labels) * features:
        raise ValueError(f"it has {coefficients.size} coefficients for {len(labels)} classes of {features} features")
    offset = np.full(len(labels), _numbers(node, "rho", None)[0], np.float32)
    scores = dense(builder, value, coefficients.reshape(len(labels), features).T, offset).tensor
    best = ops.argmax(scores, axis=-1)
    if len(labels) == 2:  # the second class wins wherever a score is beyond the border
        largest = ops.max(scores, axis=-1)
        is_positive = bool((coefficients >= 0).all())
        is_beyond = ops.greater_equal(largest, 0.5) if is_positive else ops.greater(largest, 0.0)
        best = ops.where(is_beyond, 1, best)
    return label_of(best, labels), Value("", transformed(scores, node.get("post_transform", "NONE"), node))


@operator("SVMRegressor", domain=TRADITIONAL)
def support_vector_regressor(builder: Builder, node: Node) -> Value:
    """ONNX's SVMRegressor; with `one_class` 1 where the sum is positive, else -1."""
    if node.get("post_transform", "NONE") != "NONE":
        node.refuse(f"the post_transform {node.get('post_transform')} is not supported")
    value, count = _floats(builder, node[0]), node.get("n_supports", 0)
    offset = _numbers(node, "rho", None)[:1]
    if count > 0:
        weights = _numbers(node, "coefficients", count)
        value = Value("", _kernels(builder, node, value, count))
    else:
        weights = _numbers(node, "coefficients", value.static_shape[-1] or 0)
    result = dense(builder, value, weights.reshape(-1, 1), offset).tensor
    if node.get("one_class", 0):
        result = ops.subtract(ops.multiply(ops.cast(ops.greater(result, 0.0), "float32"), 2.0), 1.0)
    return Value("", result)


def _floats(builder: Builder, value: Value) -> Value:
    if value.rank != 2:
        raise ValueError(f"it takes (batch, features), and gets a tensor of {value.rank} axes")
    return Value(value.name, ops.cast(builder.as_file(value), "float32"))


def _kernels(builder: Builder, node: Node, value: Value, count: int) -> Any:
    """The kernels of the examples with the support vectors (batch, count)."""
    features = value.static_shape[-1] or 0
    vectors = _numbers(node, "support_vectors", count * features).reshape(count, features)
    gamma, offset, degree = (*node.get("kernel_params", []), 0.0, 0.0, 0.0)[:3]
    kernel = node.get("kernel_type", "LINEAR").lower()
    layer = SupportVectors(count, kernel, gamma, offset, degree, name=builder.name("_kernels"), dtype="float32")
    return builder.layer(layer, value.tensor, weights=[vectors])


def _numbers(node: Node, name: str, count: int | None) -> NDArray[np.float32]:
    """An attribute of a known number of numbers; None: one or more."""
    found = np.asarray(node.get(name) or [], np.float32)
    if found.size != count if count is not None else not found.size:
        raise ValueError(f"its {name} are {found.size} numbers; expected {'some' if count is None else count}")
    return found
