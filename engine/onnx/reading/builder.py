"""Builder: what the rules of operators build with: layers and ops on placeholders, whose axes it keeps track of."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import ops, tree
from engine.layers import Identity, Layer, Permute, Reshape
from engine.layers.extensions import ConstantValues, Expansion, Filled
from engine.onnx.axes import Order, between, channels_last, same
from engine.onnx.reading.free_lengths import BATCH, FreeLengths
from engine.onnx.reading.value import Value
from engine.onnx.sizes import Length, Shape, Size, UnknownSizeError
from engine.ops.operation import KerasTensor

CONSTANTS_FREE = 512 << 20
"""Bytes of constants that any file may have computed from those that it brings."""


class FixedBatchError(ValueError):
    """The file's graph mixes the examples of a batch, or fixes their number: the batch axis cannot be free."""


class Builder:
    """One network that grows.

    Args:
        widen: float16 and bfloat16 are read as float32.

    Attributes:
        declared_batch: the length that the file gives its batch axis, where the model's is free all the same; None
            where the file says that it is free, or where it is not.
        label: the name of the node that is translated, after which its layers are named.
        lengths: the free ones of the inputs.
        names: of the layers, all different.
        left_for_constants: the bytes that may still be computed of constants.
    """

    def __init__(self, widen: bool = True) -> None:
        self.declared_batch: int | None = None
        self.label = ""
        self.left_for_constants = CONSTANTS_FREE
        self._widen = widen
        self.lengths = FreeLengths()
        self._arranged: dict[tuple[int, Order], tuple[Value, Value]] = {}
        self.names: set[str] = set()
        self._numbers: dict[str, int] = {}  # where the search for a free name goes on
        self._reserved: dict[str, str] = {}
        self._adopted: dict[int, Any] = {}  # the operations that have their names, by id
        self._repeated: dict[tuple[str, str, bytes], Any] | None = None  # the layers of a loop

    def claim(self, size: int) -> None:
        """Counts bytes of a constant that is computed while the file is read.

        Raises:
            ValueError: all of them together are more than the file may make.
        """
        if size > self.left_for_constants:
            raise ValueError(f"it makes a constant of {size} bytes, of which {self.left_for_constants} are left")
        self.left_for_constants -= size

    def filled(self, shape: Sequence[Length], number: float, dtype: np.dtype[Any]) -> Value:
        """A value of one number everywhere, of a shape with free lengths in it.

        Raises:
            UnknownSizeError: a free length is not an input's own, but computed from it.
        """
        free = {axis: length for axis, length in enumerate(shape) if isinstance(length, Size)}
        lengths = [None if isinstance(length, Size) else length for length in shape]
        if any(length != Size(length.symbol) or length.symbol not in self.lengths.sources for length in free.values()):
            raise UnknownSizeError(f"a constant of the shape {tuple(shape)} depends on the input in an unknown way")
        if self.lengths.with_batch and all(length.symbol == BATCH for length in free.values()):
            layer = Filled(lengths, number, dtype.name, name=self.name("_filled"), dtype=policy(dtype))
            return Value("", layer(self.lengths.with_batch[0]), filling=number)
        tensor: Any = number
        for axis, length in free.items():
            zeros = self.zeros_along(length.symbol, np.dtype(np.int32))
            tensor = ops.add(ops.reshape(zeros, [-1 if place == axis else 1 for place in range(len(shape))]), tensor)
        expansion = Expansion(lengths, name=self.name("_filled"), dtype=policy(np.dtype(np.int32)))
        return Value("", ops.cast(expansion(tensor), dtype.name), filling=number)

    # Free lengths ----------------------------------------------------------------------------------------------------

    def shape(self, value: Value) -> Shape:
        """The lengths of a value in the file's order; free ones as sizes.

        Raises:
            UnknownSizeError: one is free and no linear function of an input's.
        """
        return self.lengths.shape(value)

    def keeps_examples_apart(self, value: Value, axes: Sequence[int]) -> None:
        """Makes sure that what goes along axes of the file does not go along a batch that the file says is fixed.

        Raises:
            FixedBatchError: one of the axes is the batch's, which the file gives a length and we do not.
        """
        if self.declared_batch is not None and self.batch_axis(value) in axes:
            raise FixedBatchError(f"{value.name!r} is computed with along its batch, whose length the file fixes")

    def batch_axis(self, value: Value) -> int | None:
        """The axis of the file that is as long as the batch, or a multiple of it; None where there is none."""
        return next(iter(self.batch_axes(value)), None)

    def batch_axes(self, value: Value) -> list[int]:
        """All axes of the file that are as long as the batch, or a multiple of it."""
        return self.lengths.batch_axes(value)

    def zeros_along(self, symbol: str, dtype: np.dtype[Any]) -> Any:
        """Zeros along one axis as long as a free length."""
        tensor, axis = self.lengths.sources[symbol]
        key = tuple(slice(None) if place == axis else 0 for place in range(len(tensor.shape)))
        return ops.zeros_like(ops.get_item(tensor, key) if len(key) > 1 else tensor, dtype=dtype.name)

    # Dtypes ----------------------------------------------------------------------------------------------------------

    def widened_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The dtype in which the network has what the file has in `dtype`."""
        return np.dtype(np.float32) if self._widen and dtype.name in ("float16", "bfloat16") else dtype

    def widened(self, array: NDArray[Any]) -> NDArray[Any]:
        """A constant of the file in the network's dtype."""
        return array if array.dtype == object else array.astype(self.widened_dtype(array.dtype), copy=False)

    # Names -----------------------------------------------------------------------------------------------------------

    def name(self, suffix: str = "") -> str:
        """A layer name after the node that is translated, that no other layer has."""
        wanted = re.sub(r"[^A-Za-z0-9_.]+", "_", f"{self.label}{suffix}").strip("_") or "layer"
        number = self._numbers.get(wanted, 0)
        name = f"{wanted}_{number}" if number else wanted
        while name in self.names:
            number += 1
            name = f"{wanted}_{number}"
        self.names.add(name)
        self._numbers[wanted] = number
        return name

    # Layers ----------------------------------------------------------------------------------------------------------

    def layer(self, layer: Any, *inputs: Any, weights: Sequence[NDArray[Any]] = (), **options: Any) -> Any:
        """Calls a layer on tensors and gives it its weights, in the order in which it makes them.

        Raises:
            ValueError: the weights have other shapes than the layer's.
        """
        if weights and self._repeated is not None:
            key = (self.label, _described(layer), _digest(weights))
            if key in self._repeated:
                return self._repeated[key](*inputs, **options)
            self._repeated[key] = layer
        outputs = layer(*inputs, **options)
        if weights:
            variables = layer.weights
            shapes, ours = [array.shape for array in weights], [variable.shape for variable in variables]
            if shapes != ours:
                raise ValueError(f"the weights have the shapes {shapes}; expected {ours}")
            for variable, array in zip(variables, weights, strict=True):
                variable.assign(np.asarray(array, order="C").astype(variable.dtype, copy=False))
            if not any(isinstance(item, KerasTensor) for item in tree.flatten(inputs)):
                outputs = layer(*inputs, **options)  # of constants: computed before the weights were there
        return outputs

    @contextlib.contextmanager
    def repeating(self) -> Iterator[None]:
        """Within it the same nodes are translated again and again: with the same weights they are the same layers."""
        before = self._repeated
        self._repeated = {} if before is None else before
        try:
            yield
        finally:
            self._repeated = before

    def held(self, array: NDArray[Any], near: Any) -> Any:
        """A constant as a tensor that belongs to the network, where it is one operand of several.

        Args:
            near: any placeholder: what the constant is attached to.
        """
        layer = ConstantValues(array.shape, array.dtype.name, name=self.name("_constant"), dtype=policy(near.dtype))
        return self.layer(layer, near, weights=[array])

    def named(self, tensor: Any, name: str) -> Any:
        """The tensor under a name of its own, by a layer that changes nothing: outputs are known by their layer's."""
        self.label = name
        self.adopt(tensor)
        return Identity(dtype=policy(tensor.dtype), name=self._reserved.get(name) or self.name())(tensor)

    def reserve(self, name: str) -> None:
        """Keeps the name of an output for it."""
        self.label = name
        self._reserved[name] = self.name()

    def adopt(self, tensor: Any) -> None:
        """Names the operations that a placeholder comes from after the node: their own names may be layers', too."""
        waiting = [tensor]
        while waiting:
            history = getattr(waiting.pop(), "history", None)
            if history is None or id(history.operation) in self._adopted:
                continue
            operation = history.operation
            self._adopted[id(operation)] = operation
            if not isinstance(operation, Layer):
                operation.name = self.name()
            waiting += operation.inbound_nodes[history.node_index].input_tensors

    # Order of axes ---------------------------------------------------------------------------------------------------

    def arranged(self, value: Value, order: Order) -> Any:
        """The tensor of a value with its axes in an order; a transpose is added where they lie in another."""
        value = self.with_file_columns(value)
        if value.order == order:
            return value.tensor
        key = (id(value), order)
        if key not in self._arranged:
            axes = between(value.order, order)
            if value.is_constant:
                tensor = ops.transpose(value.tensor, axes)
            elif axes[0] == 0 and _moves_nothing(value.tensor.shape, axes):
                lengths = [value.tensor.shape[axis] for axis in axes[1:]]
                tensor = Reshape(lengths, dtype=policy(value.dtype), name=self.name("_reshape"))(value.tensor)
            elif axes[0] == 0:
                tensor = Permute(axes[1:], dtype=policy(value.dtype), name=self.name("_permute"))(value.tensor)
            else:
                tensor = ops.transpose(value.tensor, axes)
            self._arranged[key] = (value, Value(value.name, tensor, order))
        return self._arranged[key][1].tensor

    def as_file(self, value: Value) -> Any:
        """The tensor with its axes in the file's order."""
        return self.arranged(value, same(value.rank))

    def channels_last(self, value: Value) -> Any:
        """The tensor with the file's second axis last, for what takes the first one for the batch."""
        self.keeps_examples_apart(value, range(1, value.rank))
        return self.arranged(value, channels_last(value.rank))

    def with_file_columns(self, value: Value) -> Value:
        """The value with its columns as in the file."""
        if value.columns is None:
            return value
        key = (id(value), ())
        if key not in self._arranged:
            back = np.argsort(value.columns).tolist()
            tensor = ops.take(value.tensor, back, axis=-1)
            self._arranged[key] = (value, Value(value.name, tensor, value.order))
        return self._arranged[key][1]

    def reshaped(self, tensor: Any, shape: Sequence[Length]) -> Any:
        """A tensor in another shape, in which one length may be free.

        Raises:
            UnknownSizeError: more than one length is free, or a free one is not what is left over.
        """
        free = [index for index, length in enumerate(shape) if isinstance(length, Size)]
        if len(free) > 1:
            return self._reshaped_with_kept(tensor, shape)
        lengths = [-1 if isinstance(length, Size) else int(length) for length in shape]
        if tuple(tensor.shape) == tuple(shape):
            return tensor
        is_placeholder = isinstance(tensor, KerasTensor) and tensor.shape and tensor.shape[0] is None
        if is_placeholder and free == [0] and shape[0] == Size(BATCH) and self.lengths.is_batch_first(tensor):
            return Reshape(lengths[1:], dtype=policy(tensor.dtype), name=self.name("_reshape"))(tensor)
        return ops.reshape(tensor, lengths)

    def _reshaped_with_kept(self, tensor: Any, shape: Sequence[Length]) -> Any:
        """A tensor in a shape with several free lengths, the first of which is the batch's, and stays."""
        rest = shape[1:]
        is_kept = self.lengths.is_batch_first(tensor) and shape[0] == Size(BATCH)
        if not is_kept or sum(isinstance(item, Size) for item in rest) > 1:
            raise UnknownSizeError(f"a reshape to {tuple(shape)} with several free lengths is not supported")
        lengths = [-1 if isinstance(length, Size) else int(length) for length in rest]
        return Reshape(lengths, dtype=policy(tensor.dtype), name=self.name("_reshape"))(tensor)

    # Values like others ----------------------------------------------------------------------------------------------

    def unary(self, value: Value, function: Callable[[Any], Any]) -> Value:
        """A function of each number by itself, whatever the order of axes."""
        return Value(value.name, function(value.tensor), value.order, columns=value.columns)


def policy(dtype: np.dtype[Any]) -> str:
    """The dtype of a layer on values of some dtype: floats keep theirs, others are left alone."""
    return dtype.name if dtype.kind == "f" or dtype.name == "bfloat16" else "float32"


def _moves_nothing(shape: Sequence[int | None], axes: Sequence[int]) -> bool:
    """Whether a transpose of examples only moves axes of length 1: then it is a reshape."""
    kept = [axis for axis in axes if shape[axis] != 1]
    return None not in shape[1:] and kept == sorted(kept)


def _described(layer: Any) -> str:
    """A layer's class and settings, but for its name."""
    config = {name: value for name, value in layer.get_config().items() if name != "name"}
    return f"{type(layer).__name__} {config}"


def _digest(weights: Sequence[NDArray[Any]]) -> bytes:
    state = hashlib.blake2b()
    for array in weights:
        state.update(f"{array.shape}{array.dtype}".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.digest()
