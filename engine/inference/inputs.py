"""A model's inputs: how arrays are arranged for it, what is known of their rows, and its capture over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine import tree
from engine.graph.capture import capture
from engine.graph.graph import Graph
from engine.primitives.primitive import Array, Spec

Rows = tuple[tuple[tuple[int, ...], str], ...]
"""Shape and dtype of one row of each input."""

_SHAPES_SHOWN = 4


class ModelInputs:
    """The inputs of one model: those it declares, or what it is given.

    Raises:
        TypeError: this is no model.
    """

    def __init__(self, model: Any) -> None:
        if not hasattr(model, "predicted"):
            raise TypeError(
                "Expected a model of this engine: sequential, functional or subclassed (engine.models.load_model reads "
                f"one from a file). Received: {type(model).__name__} {model!r:.80}"
            )
        self.model = model

    def leaves(self, x: Any) -> list[Array]:
        """The arrays in the order of the model's inputs; dictionaries match by name.

        Raises:
            ValueError: an array does not hold numbers.
        """
        arrange = getattr(self.model, "arranged", None)
        leaves = [np.asarray(leaf) for leaf in tree.flatten(x if arrange is None else arrange(x))]
        for leaf in leaves:
            if leaf.dtype.kind not in "fiub" and leaf.dtype.name != "bfloat16":
                raise ValueError(f"Model {self.model.name!r} takes numbers, received an array of dtype {leaf.dtype}.")
        declared = tree.flatten(getattr(self.model, "inputs", None) or [])
        if len(declared) == len(leaves):
            leaves = [_in_rank(leaf, tensor.shape) for leaf, tensor in zip(leaves, declared, strict=True)]
        return leaves

    def nest(self, x: Any, leaves: list[Any]) -> Any:
        """The nest in which the model is given the leaves: of models without declared inputs, that of `x`."""
        if getattr(self.model, "inputs", None):
            return leaves[0] if len(leaves) == 1 else leaves
        return x

    def fixed_batch_size(self) -> int | None:
        """The only number of rows that the model takes, where it fixes one."""
        for tensor in tree.flatten(getattr(self.model, "inputs", None) or []):
            if tensor.shape and tensor.shape[0] is not None:
                return int(tensor.shape[0])
        return None

    def declared_rows(self) -> Rows | None:
        """Shape and dtype of one row of each input, where the model fixes them."""
        inputs = getattr(self.model, "inputs", None)
        if not inputs:
            return None
        rows = []
        for tensor in tree.flatten(inputs):
            shape = tuple(tensor.shape[1:])
            if any(length is None for length in shape):
                return None
            rows.append((shape, str(tensor.dtype)))
        return tuple(rows)

    def rows(self, leaves: list[Array]) -> Rows:
        """Shape and dtype of one row of each input, for these arrays.

        Raises:
            ValueError: they are not as many as the model's inputs, or have other shapes.
        """
        inputs = tree.flatten(getattr(self.model, "inputs", None) or [])
        if inputs:
            if len(inputs) != len(leaves):
                raise ValueError(f"Model {self.model.name!r} expects {len(inputs)} inputs, received {len(leaves)}.")
            for tensor, leaf in zip(inputs, leaves, strict=True):
                expected = tuple(tensor.shape)
                fits = len(expected) == leaf.ndim and all(
                    want is None or want == have for want, have in zip(expected[1:], leaf.shape[1:], strict=True)
                )
                if not fits:
                    raise ValueError(
                        f"Model {self.model.name!r}, input {tensor.name!r}: expected shape {expected}, "
                        f"received {leaf.shape}"
                    )
            dtypes = [str(tensor.dtype) for tensor in inputs]
        else:
            dtypes = ["float32" if leaf.dtype.kind == "f" else leaf.dtype.name for leaf in leaves]
        return tuple((leaf.shape[1:], dtype) for leaf, dtype in zip(leaves, dtypes, strict=True))

    def count(self, leaves: list[Array]) -> int:
        """How many rows the arrays have.

        Raises:
            ValueError: not all have the same number.
        """
        counts = {leaf.shape[0] if leaf.ndim else None for leaf in leaves}
        if len(counts) != 1 or None in counts:
            shapes = ", ".join(str(leaf.shape) for leaf in leaves[:_SHAPES_SHOWN])
            more = f" and {len(leaves) - _SHAPES_SHOWN} more" if len(leaves) > _SHAPES_SHOWN else ""
            hint = "; of nested lists of numbers make an array first" if () in {leaf.shape for leaf in leaves} else ""
            raise ValueError(f"All inputs need the same number of rows; received shapes {shapes}{more}{hint}.")
        return counts.pop() or 0

    def specs(self, rows: Rows, size: int) -> list[Spec]:
        """The specs of a batch of `size` rows."""
        return [Spec((size, *shape), np.dtype(dtype)) for shape, dtype in rows]

    def capture(self, nest: Any, rows: Rows, size: int) -> tuple[Graph, Any]:
        """The model on a batch of `size` rows as a graph, and its nest of output indices; see `graph.capture`.

        Raises:
            CaptureError: the model asks for values.
        """

        def call(*leaves: Any) -> Any:
            return self.model.predicted(tree.pack_sequence_as(nest, list(leaves)))

        return capture(call, *self.specs(rows, size))


def _in_rank(array: Array, shape: tuple[int | None, ...]) -> Array:
    """An array with a last axis of length 1 more or less, where that makes it fit: as models take them."""
    if array.ndim == len(shape) - 1 and shape[-1] == 1:
        return array[..., np.newaxis]
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    return array
