"""The inputs and outputs of a model as a file tells them: names, shapes, free axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engine import tree
from engine.dtypes import as_dtype
from engine.layers.calling import map_shapes
from engine.onnx.writing.lengths import FreeAxis, Samples
from engine.primitives.primitive import Spec

BATCH = "batch"

# Lengths to try, the last one far away: limits such as `x[:100]` show only beyond them. With steps of all powers of two
# strides meet odd and even lengths at each depth, so that "same" is told from a fixed padding.
_BATCHES = (19, 23, 131)
_STEPS = (0, 1, 2, 4, 8, 16, 32)
_IMAGE, _SEQUENCE, _FAR = 160, 48, 1031
_MORE_BATCHES = (19, 23, 29, 31, 37, 41, 43, 131)


class InputForm(NamedTuple):
    """One input: its name in the file, its lengths (a name where free) and its dtype."""

    name: str
    shape: tuple[int | str, ...]
    dtype: np.dtype[Any]


class Signature(NamedTuple):
    """A model's inputs, flattened, and the nest in which it takes them."""

    inputs: tuple[InputForm, ...]
    nest: Any

    def tied(self) -> Signature:
        """The same where free axes of one position have one length in all inputs."""
        inputs = []
        for form in self.inputs:
            shape = tuple(
                f"axis_{axis}" if isinstance(length, str) and length != BATCH else length
                for axis, length in enumerate(form.shape)
            )
            inputs.append(form._replace(shape=shape))
        return Signature(tuple(inputs), self.nest)

    def samples(self) -> Samples:
        """The free axes and lengths to try for them."""
        axes: dict[str, FreeAxis] = {}
        first: list[int] = []
        for number, form in enumerate(self.inputs):
            for axis, length in enumerate(form.shape):
                if isinstance(length, str) and length not in axes:
                    axes[length] = FreeAxis(length, (number, axis))
                    first.append(_IMAGE if len(form.shape) > 3 else _SEQUENCE)
        if set(axes) <= {BATCH}:
            return Samples(tuple(axes.values()), tuple((n,) for n in _BATCHES) if axes else ((),))
        columns = []
        for index, (name, base) in enumerate(zip(axes, first, strict=True)):
            turned = (*_STEPS[index % len(_STEPS) :], *_STEPS[: index % len(_STEPS)])
            tried = (*(base + step for step in turned), _FAR + 2 * index)
            columns.append(_MORE_BATCHES if name == BATCH else tried)
        return Samples(tuple(axes.values()), tuple(zip(*columns, strict=True)))

    def specs(self, samples: Samples, sample: int) -> list[Spec]:
        """What the model is captured for in one sample."""
        lengths = dict(zip((axis.name for axis in samples.axes), samples.lengths[sample], strict=True))
        return [
            Spec(tuple(lengths[n] if isinstance(n, str) else n for n in form.shape), form.dtype) for form in self.inputs
        ]


class _Declared(NamedTuple):
    name: str
    shape: tuple[int | None, ...]
    dtype: Any


def signature(model: Any, given: Any = None) -> Signature:
    """The signature of a model, from its placeholders, from what is given, or from the shapes it was built with.

    Args:
        given: a nest of objects with `shape` (None where free) and `dtype`: `InputSpec`, placeholders, arrays; or a
            list of one such nest.

    Raises:
        ValueError: nothing tells the shapes, or `given` has another number of inputs or a shape that does not fit.
    """
    placeholders = _placeholders(model)
    if given is not None:
        if isinstance(given, (list, tuple)) and len(given) == 1:
            given = given[0]  # as Keras takes it: a list of the call's arguments
        names = [item.name for item in placeholders]
        if isinstance(given, dict) and names and set(names) == set(given):
            given = [given[name] for name in names]
        leaves = tree.flatten(given)
        if placeholders and len(leaves) != len(placeholders):
            raise ValueError(
                f"input_signature: model {model.name!r} has {len(placeholders)} inputs ({', '.join(names)}). "
                f"Received: {len(leaves)}"
            )
        keys = _names(given, names)
        dtypes = [item.dtype for item in placeholders] or ["float32"] * len(leaves)
        declared = [_from_given(leaf, *rest) for leaf, *rest in zip(leaves, keys, dtypes, strict=True)]
        for item, placeholder in zip(declared, placeholders, strict=False):
            _require_fit(item, placeholder)
        nest = given if not placeholders else _row(len(declared))
    elif placeholders:
        declared, nest = placeholders, _row(len(placeholders))
    else:
        declared, nest = _as_built(model)
    names = _unique([item.name for item in declared])
    forms = []
    for name, item in zip(names, declared, strict=True):
        lengths = enumerate(item.shape)
        shape = tuple((f"{name}_{axis}" if axis else BATCH) if n is None else int(n) for axis, n in lengths)
        forms.append(InputForm(name, shape, np.dtype(as_dtype(item.dtype))))
    return Signature(tuple(forms), tree.map_structure(lambda _: None, nest))


def output_names(model: Any, count: int, structure: Any) -> list[str]:
    """The names of a model's outputs, flattened: Keras's where it has some, else the keys of its nest."""
    names = getattr(model, "output_names", None)
    if names is None and _placeholders(model):
        names = [tensor.history.operation.name for tensor in model.outputs]
    if names is None or len(names) != count:
        keys = isinstance(structure, dict) and not any(tree.is_nested(value) for value in structure.values())
        names = sorted(structure) if keys else ["output"] * count
    return _unique([str(name) for name in names])


def _placeholders(model: Any) -> list[_Declared]:
    try:
        tensors = tree.flatten(getattr(model, "inputs", None) or [])
    except AttributeError:  # a sequence that is not built
        return []
    return [_Declared(tensor.history.operation.name, tuple(tensor.shape), tensor.dtype) for tensor in tensors]


def _row(count: int) -> Any:
    """The nest of inputs that are given in order."""
    return None if count == 1 else [None] * count


def _from_given(leaf: Any, name: str, dtype: Any) -> _Declared:
    shape = getattr(leaf, "shape", None)
    if shape is None:
        raise ValueError(
            f"input_signature: expected objects with a full shape, such as InputSpec(shape=(None, 28, 28, 1)). "
            f"Received: {leaf!r}"
        )
    return _Declared(getattr(leaf, "name", None) or name, tuple(shape), getattr(leaf, "dtype", None) or dtype)


def _require_fit(item: _Declared, placeholder: _Declared) -> None:
    expected = placeholder.shape
    pairs = zip(item.shape, expected, strict=False)
    if len(item.shape) != len(expected) or any(want is not None and have != want for have, want in pairs):
        raise ValueError(f"input_signature: input {placeholder.name!r} has shape {expected}. Received: {item.shape}")


def _as_built(model: Any) -> tuple[list[_Declared], Any]:
    shapes = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if shapes is None:
        raise ValueError(
            f"Model {model.name!r} declares no inputs: call it once, build it, or give "
            "input_signature=[InputSpec(shape=(None, …), dtype=…)]."
        )
    found: list[_Declared] = []

    def declare(shape: tuple[int | None, ...]) -> None:
        # The batch of the call that built the model says nothing about later ones.
        found.append(_Declared("input", (None, *shape[1:]), model.compute_dtype))

    nest = map_shapes(declare, shapes)
    return [item._replace(name=name) for item, name in zip(found, _names(nest, []), strict=True)], nest


def _names(nest: Any, known: list[str]) -> list[str]:
    if known:
        return known
    if isinstance(nest, dict) and not any(tree.is_nested(value) for value in nest.values()):
        return sorted(nest)
    return ["input"] * len(tree.flatten(nest))


def _unique(names: Sequence[str]) -> list[str]:
    taken: set[str] = set()
    found = []
    for name in names:
        candidate, number = name, 0
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        found.append(candidate)
    return found
