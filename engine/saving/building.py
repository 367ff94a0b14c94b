"""From what a file says to a model without its weights yet, within bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.registry import custom_object_scope, deserialize, sharing
from engine.saving.tree import Contents

ALLOWANCE_FREE = 64 << 20
"""Bytes of variables that any file may declare."""
ALLOWANCE_FACTOR = 8
"""How many times the bytes of its weights a file may declare beyond that: optimizers keep several slots for each
weight, and files of models that were not trained yet hold none."""
OBJECTS_LIMIT = 100_000
"""Layers, initializers and so on that a configuration may have; the largest networks of Keras have some 10,000."""


def allowance(contents: Contents) -> int:
    """The bytes of variables that a file may declare."""
    return ALLOWANCE_FREE + ALLOWANCE_FACTOR * contents.substance()


def check_present(path: Path, what: str) -> None:
    """Raises FileNotFoundError where there is nothing at a path, ValueError where reading it could wait for ever."""
    if not path.exists():
        raise FileNotFoundError(f"There is no {what} file at {str(path)!r}.")
    if not path.is_file() and not path.is_dir():
        raise ValueError(f"{str(path)!r} is a device, a pipe or a socket, neither a file nor a folder.")


def _check_objects(config: Any) -> None:
    """Raises ValueError where a configuration has more objects than could be made in a minute or so."""
    count, waiting = 0, [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            count += "class_name" in item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    if count > OBJECTS_LIMIT:
        raise ValueError(f"its configuration has {count} objects; {OBJECTS_LIMIT} are supported.")


@contextmanager
def errors_of(place: Path | str) -> Iterator[None]:
    """Errors inside this block say which file (or text) they are about; what a configuration of another form than
    expected leads to is a ValueError too."""
    said = repr(str(place)) if isinstance(place, Path) else place
    try:
        yield
    except (ValueError, TypeError) as error:
        if str(place) in str(error):
            raise
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{said}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError) as error:
        raise ValueError(f"{said}: its configuration cannot be understood: {type(error).__name__}: {error}") from error


def built(config: dict[str, Any], custom_objects: Mapping[str, Any] | None, place: Path | str) -> Any:
    """The model of a config in Keras 3's form.

    Raises:
        ValueError: the config cannot be understood, or is not a model's.
        TypeError: it names a class that is not registered.
    """
    with errors_of(place):
        _check_objects(config)
        try:
            with custom_object_scope(custom_objects), sharing():
                model = deserialize(config)
        except (ValueError, TypeError):
            raise
        except Exception as error:  # classes expect much of their configs
            raise ValueError(f"its configuration cannot be understood: {type(error).__name__}: {error}") from error
        if not hasattr(model, "saveable_children"):
            raise ValueError(f"it holds a {type(model).__name__}, not a model.")
    return model
