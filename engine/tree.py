"""Nests of values: lists, tuples and dictionaries (`keras.tree`). Dictionaries are walked in sorted order of keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def is_nested(structure: Any) -> bool:
    """Whether this is a list, a tuple or a dictionary."""
    return isinstance(structure, (list, tuple, dict))


def _children(structure: Any) -> Iterator[Any]:
    if isinstance(structure, dict):
        return (structure[key] for key in sorted(structure))
    return iter(structure)


def flatten(structure: Any) -> list[Any]:
    """The leaves, in order. None is a leaf."""
    if not is_nested(structure):
        return [structure]
    return [leaf for child in _children(structure) for leaf in flatten(child)]


def map_structure(function: Callable[..., Any], structure: Any, *others: Any) -> Any:
    """A nest of the same form with `function` applied to each leaf (and to the leaves of `others` at its place)."""
    if isinstance(structure, dict):
        mapped = {key: map_structure(function, structure[key], *(o[key] for o in others)) for key in sorted(structure)}
        return {key: mapped[key] for key in structure}
    if isinstance(structure, (list, tuple)):
        items = [
            map_structure(function, child, *(other[index] for other in others)) for index, child in enumerate(structure)
        ]
        if isinstance(structure, list):
            return items
        return type(structure)(*items) if hasattr(structure, "_fields") else tuple(items)
    return function(structure, *others)


def pack_sequence_as(structure: Any, leaves: list[Any]) -> Any:
    """A nest of the form of `structure` made of `leaves`, which `flatten` would give back."""
    iterator = iter(leaves)
    packed = map_structure(lambda _: next(iterator), structure)
    return packed


def assert_same_structure(a: Any, b: Any) -> None:
    """Raises ValueError where two nests differ in form."""
    if is_nested(a) != is_nested(b) or isinstance(a, dict) != isinstance(b, dict):
        raise ValueError(f"Expected the same nest structure. Received: {a!r} and {b!r}")
    if isinstance(a, dict):
        if set(a) != set(b):
            raise ValueError(f"Expected the same keys. Received: {sorted(a)} and {sorted(b)}")
        for key in a:
            assert_same_structure(a[key], b[key])
    elif is_nested(a):
        if len(a) != len(b):
            raise ValueError(f"Expected nests of the same length. Received: {a!r} and {b!r}")
        for left, right in zip(a, b, strict=True):
            assert_same_structure(left, right)


def form(structure: Any) -> Any:
    """The form of a nest as something hashable: equal for nests that differ in their leaves alone."""
    if isinstance(structure, dict):
        return ("dict", tuple((key, form(structure[key])) for key in sorted(structure)))
    if isinstance(structure, (list, tuple)):
        return (type(structure).__name__, tuple(form(item) for item in structure))
    return None
