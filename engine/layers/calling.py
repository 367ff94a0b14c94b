"""What surrounds a layer's call: who called, with which `training`, under which path; and what its arguments are."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from engine import tree
from engine.dtypes import is_float
from engine.ops.operation import KerasTensor, is_tensor, known_shape
from engine.primitives.apply import as_value
from engine.primitives.casting import cast


class _Calls(threading.local):
    def __init__(self) -> None:
        self.depth = 0
        self.training: Any = None
        self.path: tuple[Any, ...] = ()  # the layers that are being built or called, outermost first


_calls = _Calls()


@contextmanager
def call_scope(training: Any) -> Iterator[None]:
    """A call of a layer; layers that it calls inherit `training`."""
    before = _calls.training
    _calls.training = training
    _calls.depth += 1
    try:
        yield
    finally:
        _calls.training = before
        _calls.depth -= 1


def is_outermost() -> bool:
    """Whether no layer is being called at the moment."""
    return _calls.depth == 0


def inherited_training() -> Any:
    """The `training` of the layer whose call this is part of, or None."""
    return _calls.training


@contextmanager
def path_scope(owner: Any) -> Iterator[None]:
    """Variables made inside this block belong to `owner`: their paths start with its."""
    before = _calls.path
    if not before or before[-1] is not owner:
        _calls.path = (*before, owner)
    try:
        yield
    finally:
        _calls.path = before


def current_path() -> str:
    """The names of the layers being built or called, joined by "/"."""
    return "/".join(owner.name for owner in _calls.path)


# Arguments -----------------------------------------------------------------------------------------------------------


class CallSignature:
    """The arguments of a layer's `call`."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.signature = inspect.signature(call)
        self.names = tuple(self.signature.parameters)
        training = self.signature.parameters.get("training")
        self.takes_training = training is not None
        self.takes_mask = "mask" in self.signature.parameters
        # "query_mask" is the mask of "query".
        self.mask_names = {name: f"{name}_mask" for name in self.names if f"{name}_mask" in self.names}
        default = training.default if training is not None else None
        self.default_training = None if default is inspect.Parameter.empty else default
        self.unsaid: dict[str, Any] = {"mask": None} if self.takes_mask else {}  # what Keras's files say all the same
        if self.default_training is not None:
            self.unsaid["training"] = self.default_training

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The given arguments by name; raises TypeError where they do not fit."""
        return dict(self.signature.bind(*args, **kwargs).arguments)


def as_operand(leaf: Any, compute_dtype: np.dtype[Any] | None) -> Any:
    """An argument as a layer's `call` gets it: arrays as tensors, floats in the layer's dtype, the rest as it is.

    `compute_dtype` None leaves dtypes alone.
    """
    if not is_tensor(leaf):
        if leaf is None or isinstance(leaf, (bool, int, float, str)):
            return leaf
        if not isinstance(leaf, (np.ndarray, np.generic)) and not hasattr(leaf, "__array__"):
            return leaf
        leaf = as_value(leaf if isinstance(leaf, (np.ndarray, np.generic)) else np.asarray(leaf))
    if compute_dtype is None or leaf.dtype == compute_dtype or not is_float(leaf.dtype):
        return leaf
    return leaf if isinstance(leaf, KerasTensor) else cast(leaf, dtype=compute_dtype.name)


def shapes_of(arguments: dict[str, Any]) -> dict[str, Any]:
    """By argument: the nest of shapes of what is made of tensors, free dimensions as None."""
    shapes = {}
    for name, value in arguments.items():
        leaves = tree.flatten(value)
        if leaves and all(hasattr(leaf, "shape") for leaf in leaves):
            shapes[name] = tree.map_structure(lambda leaf: known_shape(leaf.shape), value)
    return shapes


def build_arguments(
    build: Callable[..., None], shapes: dict[str, Any], layer_name: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """How a layer's `build` is to be called for the shapes of call arguments.

    A single parameter gets the first shape; several are named after the arguments of `call`, with "_shape" added.

    Raises:
        ValueError: `build` asks for an argument that the call does not have.
    """
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = [item for item in inspect.signature(build).parameters.values() if item.kind not in variadic]
    if len(parameters) <= 1:
        return tuple(shapes.values())[: len(parameters) or None], {}
    named = {f"{name}_shape": shape for name, shape in shapes.items()}
    unknown = [item.name for item in parameters if item.name not in named and item.default is inspect.Parameter.empty]
    if unknown:
        raise ValueError(
            f"Layer {layer_name!r}: build() asks for {unknown}, but the call has {sorted(named)}. The arguments of "
            "build() are named after those of call(), with '_shape' added."
        )
    return (), {item.name: named[item.name] for item in parameters if item.name in named}


def as_shapes(structure: Any) -> Any:
    """Shapes read from JSON: innermost lists of lengths become tuples."""
    if isinstance(structure, (list, tuple)):
        if all(item is None or isinstance(item, int) for item in structure):
            return tuple(structure)
        return [as_shapes(item) for item in structure]
    if isinstance(structure, dict):
        return {key: as_shapes(value) for key, value in structure.items()}
    return structure


def map_shapes(function: Callable[[Any], Any], structure: Any) -> Any:
    """A nest of shapes with `function` applied to each shape."""
    if isinstance(structure, dict):
        return {key: map_shapes(function, value) for key, value in structure.items()}
    if all(item is None or isinstance(item, int) for item in structure):
        return function(tuple(structure))
    return [map_shapes(function, item) for item in structure]
