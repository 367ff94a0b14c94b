"""Gradients of a primitive through a formula of other primitives: for second order and for rare operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.primitives.shaping import reshape
from engine.tape import Tape


def distinct(values: Sequence[Any]) -> list[Any]:
    """The values, each an object of its own: one given twice is two variables of a function, told apart by views."""
    seen: set[int] = set()
    told_apart = []
    for value in values:
        told_apart.append(reshape(value, shape=value.shape) if id(value) in seen else value)
        seen.add(id(value))
    return told_apart


def differentiate(
    function: Callable[..., Any], needed: Sequence[bool], gradients: Sequence[Any], inputs: Sequence[Any]
) -> list[Any]:
    """What a gradient rule returns, for a primitive that computes the same as `function`.

    Args:
        function: takes the primitive's inputs, returns its output or a tuple of them, by primitives.
        needed, gradients, inputs: as given to the rule.
    """
    values = distinct(inputs)
    with Tape(watch_variables=False) as tape:
        for value, wanted in zip(values, needed, strict=True):
            if wanted:
                tape.watch(value)
        outputs = function(*values)
    targets = list(outputs) if isinstance(outputs, tuple) else [outputs]
    wanted_values = [value for value, wanted in zip(values, needed, strict=True) if wanted]
    found = iter(tape.gradient(targets, wanted_values, list(gradients)))
    return [next(found) if wanted else None for wanted in needed]
