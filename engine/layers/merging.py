"""Layers that merge a list of inputs into one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from engine import ops
from engine.layers.layer import Layer
from engine.ops.axes import one_axis
from engine.registry import registered


class _Merge(Layer):
    """Merges inputs entry by entry. Those of lower rank get new axes after the batch axis; lengths 1 broadcast."""

    _config_attributes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape)
        self._check_shapes([tuple(shape) for shape in input_shape])

    def _check_list(self, inputs: Any) -> None:
        if not isinstance(inputs, (list, tuple)) or not inputs or inputs[0] is None or isinstance(inputs[0], int):
            raise ValueError(f"Layer {self.name!r} expects a list of inputs. Received: {inputs!r}")

    def _check_shapes(self, shapes: list[tuple[int | None, ...]]) -> None:
        """Raises ValueError where shapes, as far as they are known, cannot be merged."""
        if len({shape[0] for shape in shapes if shape and shape[0] is not None}) > 1:
            raise ValueError(f"Layer {self.name!r} cannot merge batches of different sizes. Received: {shapes}")
        for axis in range(1, max(len(shape) for shape in shapes)):
            known = {shape[-axis] for shape in shapes if axis < len(shape)} - {None, 1}
            if len(known) > 1:
                raise ValueError(f"Layer {self.name!r}: inputs of shapes {shapes} cannot be merged.")

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(f"expected a list of inputs. Received: one of shape {inputs.shape}")
        rank = max(len(value.shape) for value in inputs)
        aligned = [
            value if len(value.shape) == rank else ops.expand_dims(value, list(range(1, 1 + rank - len(value.shape))))
            for value in inputs
        ]
        return self._merge(aligned)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        if not isinstance(previous_mask, (list, tuple)) or any(mask is None for mask in previous_mask):
            return None
        return functools.reduce(ops.logical_or, previous_mask)

    def _merge(self, inputs: Sequence[Any]) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define how inputs are merged.")


class _Fold(_Merge):
    """Merges by an operation of two, from the left."""

    _operation: ClassVar[Callable[[Any, Any], Any]]

    def _merge(self, inputs: Sequence[Any]) -> Any:
        return functools.reduce(type(self)._operation, inputs)


@registered("keras.layers")
class Add(_Fold):
    """The sum of the inputs."""

    _operation = staticmethod(ops.add)


@registered("keras.layers")
class Multiply(_Fold):
    """The product of the inputs."""

    _operation = staticmethod(ops.multiply)


@registered("keras.layers")
class Maximum(_Fold):
    """The largest of the inputs at each place."""

    _operation = staticmethod(ops.maximum)


@registered("keras.layers")
class Minimum(_Fold):
    """The smallest of the inputs at each place."""

    _operation = staticmethod(ops.minimum)


@registered("keras.layers")
class Average(_Fold):
    """The mean of the inputs."""

    _operation = staticmethod(ops.add)

    def _merge(self, inputs: Sequence[Any]) -> Any:
        return super()._merge(inputs) / len(inputs)


@registered("keras.layers")
class Subtract(_Fold):
    """The first of two inputs less the second."""

    _operation = staticmethod(ops.subtract)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if len(input_shape) != 2:
            raise ValueError(f"Layer {self.name!r} expects exactly two inputs. Received: shapes {input_shape}")


@registered("keras.layers")
class Concatenate(_Merge):
    """The inputs side by side along an axis.

    Args:
        axis: default: the last.
    """

    _config_attributes = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def _check_shapes(self, shapes: list[tuple[int | None, ...]]) -> None:
        ranks = {len(shape) for shape in shapes}
        problem = len(ranks) != 1
        if not problem:
            rank = ranks.pop()
            joined = one_axis(self.axis, rank)
            for axis in range(rank):
                known = {shape[axis] for shape in shapes} - {None}
                problem = problem or (axis != joined and len(known) > 1)
        if problem:
            raise ValueError(
                f"Layer {self.name!r} needs inputs whose shapes match except along axis {self.axis}. Received: {shapes}"
            )

    def _merge(self, inputs: Sequence[Any]) -> Any:
        return ops.concatenate(inputs, self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        if not isinstance(previous_mask, (list, tuple)) or all(mask is None for mask in previous_mask):
            return None
        masks = []
        for value, mask in zip(inputs, previous_mask, strict=True):
            if mask is None:
                masks.append(ops.ones_like(value, dtype="bool"))
            elif len(mask.shape) < len(value.shape):
                masks.append(ops.logical_or(ops.expand_dims(mask, axis=-1), ops.zeros_like(value, dtype="bool")))
            else:
                masks.append(mask)
        return ops.any(ops.concatenate(masks, axis=self.axis), axis=-1)


@registered("keras.layers")
class Dot(_Merge):
    """The products of two inputs, summed over an axis of each, example by example.

    The result has the batch axis, the other axes of the first input, then those of the second; where there are none,
    an axis of length 1.

    Args:
        axes: one axis of both inputs, or a pair; never the batch axis.
        normalize: both are brought to a length of 1 along their axis first, so that the products are cosines.
    """

    _config_attributes = ("axes", "normalize")

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = (axes, axes) if isinstance(axes, int) else axes
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not all(isinstance(axis, int) for axis in pair):
            raise ValueError(f"Layer {self.name!r}: `axes` must be an integer or two of them. Received: {axes!r}")
        self.axes = axes
        self.normalize = normalize

    def _axes(self, ranks: Sequence[int]) -> list[int]:
        pair = [self.axes, self.axes] if isinstance(self.axes, int) else self.axes
        axes = [one_axis(axis, rank) for axis, rank in zip(pair, ranks, strict=True)]
        if 0 in axes:
            raise ValueError(f"Layer {self.name!r} cannot sum over the batch axis. Received: axes={self.axes}")
        return axes

    def _check_shapes(self, shapes: list[tuple[int | None, ...]]) -> None:
        if len(shapes) != 2 or min(map(len, shapes)) < 2:
            raise ValueError(f"Layer {self.name!r} expects two inputs of two axes or more. Received: {shapes}")
        first, second = (shape[axis] for shape, axis in zip(shapes, self._axes([*map(len, shapes)]), strict=True))
        if None not in (first, second) and first != second:
            raise ValueError(
                f"Layer {self.name!r}: the inputs must be equally long along axes {self.axes}. Received: {shapes}"
            )

    def call(self, inputs: Any) -> Any:
        self._check_list(inputs)
        axes = self._axes([len(value.shape) for value in inputs])
        if self.normalize:
            inputs = [ops.normalize(value, axis) for value, axis in zip(inputs, axes, strict=True)]
        letters = iter("cdefghijklmnopqrstuvwxyz")
        labels = [
            "".join("a" if not place else "b" if place == axis else next(letters) for place in range(len(value.shape)))
            for value, axis in zip(inputs, axes, strict=True)
        ]
        result = "a" + "".join(label for label in "".join(labels) if label not in "ab")
        outputs = ops.einsum(f"{labels[0]},{labels[1]}->{result}", *inputs)
        return ops.expand_dims(outputs, 1) if len(result) == 1 else outputs

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None


def _functional(kind: type[Layer], summary: str) -> Callable[..., Any]:
    def run(inputs: Sequence[Any], **kwargs: Any) -> Any:
        return kind(**kwargs)(inputs)

    run.__name__ = run.__qualname__ = kind.__name__.lower()
    run.__doc__ = summary
    return run


add = _functional(Add, "`Add` as a function of a list of tensors.")
subtract = _functional(Subtract, "`Subtract` as a function of a list of tensors.")
multiply = _functional(Multiply, "`Multiply` as a function of a list of tensors.")
average = _functional(Average, "`Average` as a function of a list of tensors.")
maximum = _functional(Maximum, "`Maximum` as a function of a list of tensors.")
minimum = _functional(Minimum, "`Minimum` as a function of a list of tensors.")


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate` as a function of a list of tensors."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """`Dot` as a function of a list of two tensors."""
    return Dot(axes=axes, **kwargs)(inputs)
