"""Small conversions of labels and vectors (`keras.utils.to_categorical`, `normalize`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.primitives.primitive import Array


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """Class numbers as one-hot vectors.

    Args:
        x: integers from 0 to num_classes - 1 of any shape; a last axis of 1 is dropped.
        num_classes: default: the largest number plus one.

    Returns:
        A float32 array of shape (*x.shape, num_classes).

    Raises:
        ValueError: a number lies outside 0..num_classes - 1.
    """
    numbers = np.asarray(x, dtype="int64")
    if numbers.ndim > 1 and numbers.shape[-1] == 1:
        numbers = numbers[..., 0]
    count = int(numbers.max()) + 1 if num_classes is None and numbers.size else (num_classes or 0)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= count):
        raise ValueError(
            f"to_categorical: class numbers must lie in 0..{count - 1}. "
            f"Received: {numbers.min()} to {numbers.max()} with num_classes={count}"
        )
    result = np.zeros((*numbers.shape, count), np.float32)
    np.put_along_axis(result, numbers[..., np.newaxis], 1.0, axis=-1)
    return result


def normalize(x: Any, axis: int = -1, order: int = 2) -> Array:
    """Vectors along `axis` divided by their norm of the given order; zero vectors stay zero."""
    array = np.asarray(x)
    norms = np.linalg.norm(array, ord=order, axis=axis, keepdims=True)
    return array / np.where(norms == 0, 1, norms)
