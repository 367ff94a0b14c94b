"""Inference of output shapes with free dimensions, for any function on tensors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from engine import tree
from engine.ops.keras_tensor import KerasTensor
from engine.primitives.primitive import Spec

# What stands for a free dimension while shapes are inferred: numbers that much divides, and that no user chooses.
# Two of them tell which output dimensions depend on it. The second pair keeps volumes with many free dimensions within
# the size of an array; the last is for operands that must broadcast against a known length.
_FILL_INS = ((10080, 20160), (120, 240), (1, 1))


class _Inference(threading.local):
    fill_in: int | None = None


_inference = _Inference()


def known_shape(shape: Sequence[int | None]) -> tuple[int | None, ...]:
    """A shape as users should see it: while shapes are inferred, lengths that stand for free ones are None again."""
    fill_in = _inference.fill_in
    if fill_in is None or fill_in == 1:
        return tuple(shape)
    return tuple(None if length == fill_in else length for length in shape)


def inferring() -> bool:
    """Whether shapes are inferred at the moment: what is computed now is thrown away."""
    return _inference.fill_in is not None


@contextmanager
def _filling(number: int) -> Iterator[None]:
    before = _inference.fill_in
    _inference.fill_in = number
    try:
        yield
    finally:
        _inference.fill_in = before


def infer_specs(function: Callable[..., Any], args: Any, kwargs: dict[str, Any], divisor: int = 1) -> Any:
    """Placeholders like what `function(*args, **kwargs)` returns for placeholders among its arguments.

    The call is captured on a graph that is thrown away, for two lengths in place of the free dimensions: lengths of
    the result that differ are free.

    Args:
        divisor: what has to divide free lengths, where the function takes them apart.
    """
    leaves = tree.flatten([list(args), kwargs])
    free = any(None in leaf.shape for leaf in leaves if isinstance(leaf, KerasTensor))
    if not free:
        return tree.map_structure(_placeholder, _infer(function, args, kwargs, 1))
    problem: Exception | None = None
    for small, large in (*_FILL_INS, *(((divisor, 2 * divisor),) if divisor > 1 else ())):
        try:
            first = _infer(function, args, kwargs, small)
            second = _infer(function, args, kwargs, large) if large != small else first
        except (ValueError, IndexError) as error:
            problem = problem or error
            continue
        return tree.map_structure(_placeholder, first, second)
    assert problem is not None
    raise problem


class _Slot:
    """Wraps a spec: specs are tuples, nests must not walk into them."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec


def _infer(function: Callable[..., Any], args: Any, kwargs: dict[str, Any], fill_in: int) -> Any:
    from engine.graph.capture import infer_outputs

    def concrete(leaf: Any) -> Any:
        if isinstance(leaf, KerasTensor):
            return Spec(tuple(fill_in if length is None else length for length in leaf.shape), leaf.dtype)
        return leaf

    args, kwargs = tree.map_structure(concrete, list(args)), tree.map_structure(concrete, kwargs)

    def run(positional: Any, named: Any) -> Any:
        return function(*positional, **named)

    with _filling(fill_in):
        outputs = infer_outputs(run, args, kwargs)
    return _wrap(outputs)


def _wrap(outputs: Any) -> Any:
    if isinstance(outputs, Spec):
        return _Slot(outputs)
    if isinstance(outputs, dict):
        return {key: _wrap(value) for key, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        items = [_wrap(value) for value in outputs]
        return items if isinstance(outputs, list) else tuple(items)
    return outputs


def _placeholder(first: Any, second: Any = None) -> Any:
    if not isinstance(first, _Slot):
        return first
    lengths: tuple[int | None, ...] = first.spec.shape
    if isinstance(second, _Slot):
        lengths = tuple(a if a == b else None for a, b in zip(lengths, second.spec.shape, strict=True))
    return KerasTensor(lengths, np.dtype(first.spec.dtype))
