"""What a layer accepts: dtype, rank and fixed dimensions of its inputs, checked before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine import tree


class InputSpec:
    """The dtype, rank and shape that a layer expects of one input; what is None is not checked.

    Args:
        dtype: a dtype name.
        shape: the full shape, with None for free dimensions.
        ndim, max_ndim, min_ndim: ranks.
        axes: lengths by axis.
        allow_last_axis_squeeze: a last dimension of 1 may be there or not.
        name: the input's name, for dictionaries of inputs.
        optional: None is accepted.
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): length for axis, length in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        rank = self.ndim if self.ndim is not None else self.max_ndim
        if rank is not None and any(not -rank <= axis < rank for axis in self.axes):
            raise ValueError(f"An axis of {self.axes} lies beyond the rank {rank}.")

    def __repr__(self) -> str:
        fields = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        said = [f"{field}={getattr(self, field)}" for field in fields if getattr(self, field)]
        return f"InputSpec({', '.join(said)})"

    def get_config(self) -> dict[str, Any]:
        fields = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return {field: getattr(self, field) for field in fields}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        return cls(**config)

    def problem(self, shape: tuple[int | None, ...], dtype: str) -> str | None:
        """What is wrong with an input ("expected …, found …"), or None."""
        rank = len(shape)
        if self.ndim is not None and rank != self.ndim and not self.allow_last_axis_squeeze:
            return f"expected ndim={self.ndim}, found ndim={rank}"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"expected max_ndim={self.max_ndim}, found ndim={rank}"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"expected min_ndim={self.min_ndim}, found ndim={rank}"
        if self.dtype is not None and dtype != self.dtype:
            return f"expected dtype={self.dtype}, found dtype={dtype}"
        for axis, length in self.axes.items():
            if length is not None and shape[axis] not in (length, None):
                return f"expected axis {axis} of input shape to have value {length}"
        if self.shape is None or _fits(shape, self.shape):
            return None
        if self.allow_last_axis_squeeze and _fits(_squeezed(shape), _squeezed(self.shape)):
            return None
        return f"expected shape={self.shape}"


def _fits(shape: tuple[int | None, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(shape, expected, strict=True)
    )


def _squeezed(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    return shape[:-1] if shape and shape[-1] == 1 else shape


def assert_input_compatibility(input_spec: Any, inputs: Any, layer_name: str) -> None:
    """Raises ValueError, naming the layer, what it expects and what came, where inputs do not fit its specs.

    Args:
        input_spec: an `InputSpec` or a nest of them.
        inputs: a value or a nest of values; a dictionary is matched by the specs' names.
    """
    specs = tree.flatten(input_spec)
    if isinstance(inputs, dict) and all(spec is not None and spec.name is not None for spec in specs):
        missing = [spec.name for spec in specs if spec.name not in inputs]
        if missing:
            raise ValueError(f"Layer {layer_name!r} misses the inputs {missing}. Received: {sorted(inputs)}")
        values = [inputs[spec.name] for spec in specs]
    else:
        values = tree.flatten(inputs)
    if len(values) != len(specs):
        raise ValueError(
            f"Layer {layer_name!r} expects {len(specs)} input(s), but it received {len(values)} input tensor(s)."
        )
    for index, (spec, value) in enumerate(zip(specs, values, strict=True)):
        if spec is None or (value is None and spec.optional):
            continue
        if not hasattr(value, "shape"):
            raise ValueError(
                f"Input {index} of layer {layer_name!r} must be an array or a tensor. "
                f"Received: {value!r} of type {type(value).__name__}"
            )
        shape = tuple(value.shape)
        problem = spec.problem(shape, getattr(value.dtype, "name", str(value.dtype)))
        if problem is not None:
            name = f" with name {spec.name!r}" if spec.name else ""
            raise ValueError(
                f"Input {index}{name} of layer {layer_name!r} is incompatible with the layer: {problem}. "
                f"Full shape received: {shape}"
            )
