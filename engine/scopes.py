"""What surrounds the running code, per thread: the graph being captured and the tapes that listen."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from engine.tensor import Recorder, Symbol, Tensor


class Listener(Protocol):
    """What listens to operations: a tape."""

    def note_read(self, variable: Any, value: Tensor | Symbol) -> Tensor | Symbol:
        """A variable was read; returns the value under which the listener knows it."""

    def wants(self, inputs: Sequence[Tensor | Symbol]) -> bool:
        """Whether an operation on these inputs is to be recorded."""

    def record(self, record: Any) -> None:
        """An operation happened."""


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.graph: Recorder | None = None
        self.tapes: tuple[Listener, ...] = ()
        self.autocast: np.dtype[Any] | None = None


_scopes = _Scopes()


def current_graph() -> Recorder | None:
    """The graph that operations are being captured into, or None when they run at once."""
    return _scopes.graph


def current_tapes() -> tuple[Listener, ...]:
    """The tapes that record at the moment, outermost first."""
    return _scopes.tapes


@contextmanager
def capturing(graph: Recorder | None) -> Iterator[None]:
    """Operations on variables and symbols are recorded into `graph` (None: run at once) inside this block."""
    before = _scopes.graph
    _scopes.graph = graph
    try:
        yield
    finally:
        _scopes.graph = before


@contextmanager
def taping(tapes: tuple[Listener, ...]) -> Iterator[None]:
    """Exactly `tapes` record inside this block."""
    before = _scopes.tapes
    _scopes.tapes = tapes
    try:
        yield
    finally:
        _scopes.tapes = before


def current_autocast() -> np.dtype[Any] | None:
    """The float dtype in which operations see variables (mixed precision), or None: in their own."""
    return _scopes.autocast


@contextmanager
def autocasting(dtype: np.dtype[Any] | None) -> Iterator[None]:
    """Operations inside this block see float variables cast to `dtype` (None: as they are)."""
    before = _scopes.autocast
    _scopes.autocast = dtype
    try:
        yield
    finally:
        _scopes.autocast = before


@contextmanager
def unrecorded() -> Iterator[None]:
    """Operations inside this block run at once, in their own dtypes, and nobody listens: for making state."""
    with capturing(None), taping(()), autocasting(None):
        yield
