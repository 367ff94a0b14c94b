"""Scores of classes as scikit-learn's operators have them: transformed, and the best one's label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.node import Node
from engine.onnx.reading.value import Value

TEXT = np.dtype(str)


def classified(
    builder: Builder, node: Node, scores: Any, labels: Sequence[Any], is_binary: bool, is_positive: bool
) -> tuple[Value, Value]:
    """The label of the best class, and the scores.

    Args:
        scores: (batch, classes), or (batch, 1) where they are those of the second of two classes.
        is_binary: whether they are that.
        is_positive: whether no weight is negative: then a half, else zero, is the border between two classes.
    """
    transform = node.get("post_transform", "NONE")
    if not is_binary:
        best = ops.argmax(scores, axis=-1)
        return label_of(best, labels), Value("", transformed(scores, transform, node))
    best = ops.cast(ops.squeeze(ops.greater(scores, 0.5 if is_positive else 0.0), axis=-1), "int32")
    if transform == "LOGISTIC":
        pair = [ops.sigmoid(ops.negative(scores)), ops.sigmoid(scores)]
        return label_of(best, labels), Value("", ops.concatenate(pair, axis=-1))
    first = ops.subtract(1.0, scores) if transform == "NONE" and is_positive else ops.negative(scores)
    both = ops.concatenate([first, scores], axis=-1)
    return label_of(best, labels), Value("", transformed(both, transform, node))


def transformed(scores: Any, transform: str, node: Node) -> Any:
    """Scores after ONNX's `post_transform`."""
    if transform == "NONE":
        return scores
    if transform == "SOFTMAX":
        return ops.softmax(scores, axis=-1)
    if transform == "LOGISTIC":
        return ops.sigmoid(scores)
    return node.refuse(f"the post_transform {transform} is not supported")


def label_of(best: Any, labels: Sequence[Any]) -> Value:
    """The label of a class number: a number, or a text, which only says what the classes are called."""
    if any(isinstance(label, str) for label in labels):
        return text([str(label) for label in labels])
    if list(labels) == list(range(len(labels))):
        return Value("", ops.cast(best, "int64"))
    return Value("", ops.take(ops.convert_to_tensor(np.asarray(labels, np.int64)), best, axis=0))


def text(items: Sequence[str]) -> Value:
    """A value of texts, which no layer can compute with."""
    return Value("", constant=np.asarray(list(items), dtype=str))
