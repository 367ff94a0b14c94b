"""Decisions between classes from decisions between every two of them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from engine import ops
from engine.layers.input_spec import InputSpec
from engine.layers.layer import Layer
from engine.registry import registered

ROUNDS = 10
"""Rounds of the iteration after which probabilities stand; 3 or 4 are what up to 20 classes took."""
_LEAST = 1e-7


class _PairwiseLayer(Layer):
    """What goes in: (batch, pairs), a score of each pair (0, 1), (0, 2), … (1, 2), …, positive for the first class.

    Args:
        classes: how many.
    """

    _config_attributes = ("classes",)

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if classes < 2:
            raise ValueError(f"Layer {self.name!r}: `classes` must be 2 or more. Received: {classes}")
        self.classes = classes
        self.pairs = list(combinations(range(classes), 2))
        self.input_spec = InputSpec(ndim=2, axes={-1: len(self.pairs)})


@registered("beagle.layers")
class PairwiseVotes(_PairwiseLayer):
    """How many of its pairs each class wins: (batch, classes)."""

    def call(self, inputs: Any) -> Any:
        won, lost = np.zeros((2, len(self.pairs), self.classes), np.float32)
        for row, (first, second) in enumerate(self.pairs):
            won[row, first] = lost[row, second] = 1
        is_first = ops.cast(ops.greater(inputs, 0.0), "float32")
        gained = ops.matmul(is_first, ops.convert_to_tensor(won - lost))
        return ops.add(gained, ops.convert_to_tensor(lost.sum(0)))


@registered("beagle.layers")
class PairwiseProbabilities(_PairwiseLayer):
    """Probabilities of the classes (batch, classes) that agree best with those within the pairs.

    A pair's first class has the probability 1 / (1 + exp(slope · score + offset)) (Platt, 1999). The classes' follow by
    the second method of Wu, Lin and Weng (2004), whose iteration ends for each example as in LIBSVM: where no class is
    farther than 0.005 / classes from balance.
    """

    def build(self, input_shape: Any) -> None:
        self.slopes = self.add_weight((len(self.pairs),), initializer="zeros", name="slopes")
        self.offsets = self.add_weight((len(self.pairs),), initializer="zeros", name="offsets")

    def call(self, inputs: Any) -> Any:
        count = self.classes
        exponent = ops.add(ops.multiply(inputs, self.slopes), self.offsets)
        first = ops.clip(ops.sigmoid(ops.negative(exponent)), _LEAST, 1 - _LEAST)
        every = ops.concatenate([first, ops.subtract(1.0, first), ops.zeros_like(first[:, :1])], axis=1)
        table = ops.reshape(ops.take(every, self._places(), axis=1), (-1, count, count))
        diagonal = ops.sum(ops.square(table), axis=1)
        matrix = ops.negative(ops.multiply(table, ops.transpose(table, (0, 2, 1))))
        matrix = ops.add(matrix, ops.multiply(ops.expand_dims(diagonal, 1), ops.eye(count, dtype=diagonal.dtype.name)))
        found = ops.full_like(diagonal, 1 / count)
        for _ in range(ROUNDS):
            found = self._balanced(found, matrix)
        return found

    def _places(self) -> list[int]:
        """Where the entry (i, j) of the table of all pairs lies among firsts, seconds and a zero."""
        places = np.full((self.classes, self.classes), 2 * len(self.pairs))
        for row, (first, second) in enumerate(self.pairs):
            places[first, second], places[second, first] = row, row + len(self.pairs)
        return [int(place) for place in places.ravel()]

    def _balanced(self, found: Any, matrix: Any) -> Any:
        """The probabilities after one round over the classes, or as they were where they are balanced."""
        pulls = ops.sum(ops.multiply(matrix, ops.expand_dims(found, 1)), axis=2)
        mean = ops.sum(ops.multiply(found, pulls), axis=1, keepdims=True)
        distance = ops.max(ops.abs(ops.subtract(pulls, mean)), axis=1, keepdims=True)
        is_open = ops.cast(ops.greater_equal(distance, 0.005 / self.classes), found.dtype.name)
        for index in range(self.classes):
            pull, row = pulls[:, index : index + 1], matrix[:, index]
            own = row[:, index : index + 1]
            step = ops.multiply(ops.divide(ops.subtract(mean, pull), own), is_open)
            whole = ops.add(step, 1.0)
            change = ops.multiply(step, ops.add(ops.multiply(step, own), ops.multiply(pull, 2.0)))
            mean = ops.divide(ops.add(mean, change), ops.square(whole))
            pulls = ops.divide(ops.add(pulls, ops.multiply(step, row)), whole)
            added = [ops.zeros_like(step)] * self.classes
            added[index] = step
            found = ops.divide(ops.add(found, ops.concatenate(added, axis=1)), whole)
        return found
