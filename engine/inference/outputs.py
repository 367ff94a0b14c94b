"""A session's outputs: the nest that a model gives, as fresh arrays or in arrays of the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import tree
from engine.primitives.primitive import Array


class ModelOutputs:
    """The outputs of one captured model.

    Args:
        structure: the model's nest, its leaves the number of an output or None.
        specs: shape and dtype of each output, for a batch.
    """

    def __init__(self, structure: Any, specs: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]) -> None:
        self._structure = structure
        self._specs = specs

    def nest(self, arrays: Sequence[Array]) -> Any:
        """The model's nest of arrays, given in the order of the outputs."""
        return tree.map_structure(lambda index: None if index is None else arrays[index], self._structure)

    def allocate(self, rows: int) -> list[Array]:
        """Fresh arrays of so many rows."""
        return [np.empty((rows, *shape[1:]), dtype) for shape, dtype in self._specs]

    def given(self, out: Any, rows: int) -> list[Array]:
        """The arrays of `out`, a nest as the model's, in the order of the outputs.

        Raises:
            ValueError: it is another nest, or its arrays cannot hold the outputs of so many rows.
        """
        indices, leaves = tree.flatten(self._structure), tree.flatten(out)
        if len(indices) != len(leaves):
            raise ValueError(
                f"out: expected a nest of {len(indices)} arrays as the model gives. Received: {len(leaves)}."
            )
        arrays: list[Any] = [None] * len(self._specs)
        for index, leaf in zip(indices, leaves, strict=True):
            if index is None:
                continue
            shape, dtype = self._specs[index]
            check(leaf, (rows, *shape[1:]), dtype)
            arrays[index] = leaf
        return arrays


def check(array: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raises ValueError where an array cannot take a result of this shape and dtype."""
    wanted = f"out: expected a writable array of shape {shape} and dtype {dtype}"
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{wanted}. Received: {type(array).__name__}.")
    if array.shape != shape or not np.can_cast(dtype, array.dtype, "same_kind") or not array.flags.writeable:
        only = "" if array.flags.writeable else "a read-only "
        raise ValueError(f"{wanted}. Received: {only}shape {array.shape}, dtype {array.dtype}.")
