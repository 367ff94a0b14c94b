"""Arrays made from constants: folded weights, and weights packed for kernels, shared by the plans of one session.

What is made is known by its recipe (how it was made, from which arrays), not by the object: a folded array may go
once every plan has packed it, and a plan that is built later still finds the packed form.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from engine.primitives.primitive import Array

_SMALL = 64  # elements: up to here arrays are known by their values, beyond by a digest of them


class Constants:
    """A store of arrays made from constants, each made once."""

    def __init__(self) -> None:
        self._weights: dict[int, Array] = {}  # held, so that an id stays with its array
        self._recipes: dict[int, tuple[weakref.ref[Array], Hashable]] = {}
        self._derived: dict[Hashable, weakref.ref[Array]] = {}
        self._packed: dict[Hashable, Any] = {}
        self._held: list[Array] | None = None

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keeps what is derived until the block ends: for the plans of several batch sizes, built one after another."""
        self._held = []
        try:
            yield
        finally:
            self._held = None

    def add_weights(self, array: Array) -> None:
        """Makes known an array that others keep as long as these constants: it is the same as itself alone."""
        self._weights[id(array)] = array

    def recipe(self, array: Array) -> Hashable:
        """How an array came to be: equal recipes give equal arrays."""
        if id(array) in self._weights:
            return id(array)
        known = self._recipes.get(id(array))
        if known is not None and known[0]() is array:
            return known[1]
        if array.size <= _SMALL:
            return array.dtype.str, array.shape, array.tobytes()
        return array.dtype.str, array.shape, hashlib.blake2b(np.ascontiguousarray(array).tobytes()).digest()

    def derive(
        self, operation: Hashable, sources: Sequence[Array], make: Callable[[], Sequence[Array]]
    ) -> tuple[Array, ...]:
        """The arrays that `make` computes from `sources`; computed again only where the former ones are gone."""
        base = operation, tuple(self.recipe(source) for source in sources)
        known = self._derived.get((base, 0))
        first = None if known is None else known()
        if first is not None:
            found = [first]
            while (reference := self._derived.get((base, len(found)))) is not None:
                array = reference()
                if array is None:
                    break
                found.append(array)
            else:
                return tuple(found)
        made = tuple(make())
        for index, array in enumerate(made):
            self._derived[base, index] = weakref.ref(array)
            self._recipes[id(array)] = weakref.ref(array), (base, index)
        if self._held is not None:
            self._held.extend(made)
        return made

    def pack(self, source: Array, layout: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` returns for an array and a layout, made once."""
        key = self.recipe(source), layout
        packed = self._packed.get(key)
        if packed is None:
            packed = self._packed[key] = make()
        return packed
