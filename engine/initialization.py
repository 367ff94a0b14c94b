"""When layers' weights get their first values: at once, or, while a file is read that brings them, only if need be.

A ResNet50 has 25 million weights: drawing random numbers that a file replaces takes longer than reading the file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from engine.scopes import unrecorded
from engine.variable import Variable

Initializer = Callable[..., Any]


class _Deferral(threading.local):
    waiting: list[tuple[Variable, Initializer]] | None = None


_deferral = _Deferral()


@contextmanager
def initialization_deferred() -> Iterator[None]:
    """Weights that layers make inside this block, by this thread, get their first values at its end; not those that
    were assigned to by then."""
    if _deferral.waiting is not None:  # the outer block's end will do
        yield
        return
    waiting: list[tuple[Variable, Initializer]] = []
    _deferral.waiting = waiting
    try:
        yield
    finally:
        _deferral.waiting = None
    with unrecorded():
        for variable, initializer in waiting:
            if not variable.version:
                variable.assign(initializer(variable.shape, dtype=variable.dtype))


def initialized(initializer: Initializer, **options: Any) -> Variable:
    """A new variable with the values of an initializer, which come later where initialisation is deferred.

    Args:
        options: as for `Variable`; `shape` and `dtype` are needed.
    """
    if _deferral.waiting is None:
        return Variable(initializer, **options)
    variable = Variable(None, **options)
    _deferral.waiting.append((variable, initializer))
    return variable
