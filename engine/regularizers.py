"""Regularizers: penalties on weights and activations (`keras.regularizers`)."""

from __future__ import annotations

import math
from typing import Any

from engine import ops
from engine.identifiers import resolve
from engine.registry import deserialize as _deserialize
from engine.registry import registered, serialize

_MODULE = "keras.regularizers"


def _penalty(value: Any, name: str) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ValueError(f"`{name}` must be a finite number from 0 on. Received: {value!r}")
    return float(value)


@registered(_MODULE)
class Regularizer:
    """A function of a tensor that gives a scalar penalty; the base class of regularizers."""

    def __call__(self, x: Any) -> Any:
        """The penalty, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(x)`.")

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} must define `get_config()` to be saved.")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


@registered(_MODULE, "l1_l2")
class L1L2(Regularizer):
    """l1 · Σ|x| + l2 · Σx²."""

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _penalty(0.0 if l1 is None else l1, "l1")
        self.l2 = _penalty(0.0 if l2 is None else l2, "l2")

    def __call__(self, x: Any) -> Any:
        penalty = ops.zeros((), ops.dtype(x))
        if self.l1:
            penalty = penalty + ops.sum(ops.abs(x)) * self.l1
        if self.l2:
            penalty = penalty + ops.sum(ops.square(x)) * self.l2
        return penalty

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@registered(_MODULE, "l1")
class L1(Regularizer):
    """l1 · Σ|x|."""

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _penalty(0.01 if l1 is None else l1, "l1")

    def __call__(self, x: Any) -> Any:
        return ops.sum(ops.abs(x)) * self.l1

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@registered(_MODULE, "l2")
class L2(Regularizer):
    """l2 · Σx²."""

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _penalty(0.01 if l2 is None else l2, "l2")

    def __call__(self, x: Any) -> Any:
        return ops.sum(ops.square(x)) * self.l2

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


@registered(_MODULE, "orthogonal_regularizer")
class OrthogonalRegularizer(Regularizer):
    """The mean absolute cosine between the rows, or columns, of a matrix, times a factor."""

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _penalty(factor, "factor")
        if mode not in ("rows", "columns"):
            raise ValueError(f"`mode` must be 'rows' or 'columns'. Received: {mode!r}")
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        if len(x.shape) != 2:
            raise ValueError(f"OrthogonalRegularizer takes matrices. Received: shape {tuple(x.shape)}")
        axis = 1 if self.mode == "rows" else 0
        unit = ops.normalize(x, axis=axis)
        turned = ops.transpose(unit)
        cosines = ops.matmul(unit, turned) if self.mode == "rows" else ops.matmul(turned, unit)
        count = x.shape[1 - axis]
        others = ops.abs(cosines * (1.0 - ops.eye(count, dtype=cosines.dtype)))
        return ops.sum(others) * (self.factor * 0.5 / (count * (count - 1.0) / 2.0))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


def get(identifier: Any) -> Any:
    """The regularizer of a name ("l2"), a config, a class, a function, or None."""
    return resolve(identifier, _MODULE, "regularizer")


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The regularizer of a config."""
    return _deserialize(config, custom_objects)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]
