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


def allowance(contents: Contents) -> int:
    """The bytes of variables that a file may declare."""
    return ALLOWANCE_FREE + ALLOWANCE_FACTOR * contents.substance()


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
