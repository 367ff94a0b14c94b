"""What belongs to a layer: the layers, metrics, generators and variables among its attributes.

Ownership is read off the attributes each time it is asked for, so that lists may grow, and attributes be replaced or
deleted, at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.variable import Variable

# Attributes of every layer through which nothing is owned.
_BOOKKEEPING = frozenset({"inbound_nodes", "outbound_nodes", "_constructed", "_found", "_losses"})


def leaves(container: Any) -> Iterator[Any]:
    """The items of a nest of lists, tuples and dictionaries, in order of insertion."""
    if isinstance(container, dict):
        for item in container.values():
            yield from leaves(item)
    elif isinstance(container, (list, tuple)):
        for item in container:
            yield from leaves(item)
    else:
        yield container


def owned(layer: Owner, wanted: Callable[[Any], bool]) -> list[Any]:
    """What lies in the layer's attributes and fits, each once, in the order in which the attributes were set."""
    found: dict[int, Any] = {}
    for name, value in vars(layer).items():
        if name in _BOOKKEEPING:
            continue
        for item in leaves(value):
            if wanted(item):
                found.setdefault(id(item), item)
    return list(found.values())


class Owner:
    """What may own layers and variables through its attributes: the mark of layers."""


def is_layer(item: Any) -> bool:
    """Whether this is a layer."""
    return isinstance(item, Owner)


def is_metric(item: Any) -> bool:
    """Whether this keeps a running result in variables of its own, as metrics do."""
    return not isinstance(item, type) and all(
        hasattr(item, part) for part in ("update_state", "reset_state", "result", "variables")
    )


def is_generator(item: Any) -> bool:
    """Whether this is a source of random keys: its state is a variable, but not one that files hold."""
    return not isinstance(item, type) and isinstance(getattr(item, "state", None), Variable) and hasattr(item, "next")


def saveable_attributes(layer: Owner) -> dict[str, Any]:
    """The attributes that own variables or may own them, in the order in which archives number them.

    Sorted by name with names that start with "_" last. Values are layers, metrics, or lists, tuples and dictionaries
    that hold some.
    """
    found: dict[str, Any] = {}
    for name in sorted(vars(layer), key=lambda key: f"~{key}" if key.startswith("_") else key):
        value = vars(layer)[name]
        if name not in _BOOKKEEPING and any(is_layer(item) or is_metric(item) for item in leaves(value)):
            found[name] = value
    return found
