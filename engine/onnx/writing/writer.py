"""The form in which each value lies in the file: in which order of axes it was written, and where another is needed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.onnx.axes import Order, moving, same
from engine.onnx.writing.computation import Value
from engine.onnx.writing.file_graph import FileGraph
from engine.onnx.writing.form import Form, is_woven_like, only_units_move, plain, stored_array, stored_lengths
from engine.onnx.writing.lengths import Lengths, in_sample
from engine.primitives.primitive import Array

_SMALL = 16  # entries of constants without a name that are known by their values


class Stored(NamedTuple):
    """A value's name in the file and the form in which it lies there."""

    name: str
    form: Form


class Writer(FileGraph):
    """The graph of a file, and where the values of a computation are in it.

    A transpose of ours is no node: it is a value of the same name in another order. Nodes are written where something
    needs an order that the file does not have yet.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stored: dict[Value, Stored] = {}
        self._reordered: dict[tuple[Value, Form], str] = {}
        self._remade: dict[tuple[Value, Hashable], Value] = {}

    # Values -----------------------------------------------------------------------------------------------------------

    def give(self, value: Value, name: str, form: Form | None = None) -> None:
        """Says under which name, and in which form, the file holds a value."""
        self._stored[value] = Stored(name, form or plain(len(value.shape)))

    def form(self, value: Value) -> Form:
        """The form in which a value lies; constants lie in any, and say their own."""
        return plain(len(value.shape)) if value.array is not None else self._stored[value].form

    def take(self, value: Value, form: Form | Order | None = None) -> str:
        """The name of a value in a form (default: as it is with us), written where the file does not have it yet."""
        wanted = plain(len(value.shape)) if form is None else form if isinstance(form, Form) else Form(form)
        if value.array is not None:
            return self._constant_in(value, value.array, wanted)
        stored = self._stored[value]
        if stored.form == wanted:
            return stored.name
        known = self._reordered.get((value, wanted))
        if known is None:
            if wanted.woven is not None:
                raise self.refuse("an array flattened in another order was asked for where none is")
            name, order = stored.name, stored.form.order
            if stored.form.woven is not None:
                name = self._unwoven(value, stored)
            known = self._reordered[value, wanted] = self.reordered(name, value.shape, order, wanted.order)
        return known

    def remade(self, value: Value, how: Hashable, make: Callable[[Array], Array]) -> Value:
        """A constant made from another, once for each `how`; it keeps the variable's name."""
        if (value, how) not in self._remade:
            assert value.array is not None
            array = make(value.array)
            self._remade[value, how] = Value(array.shape, array.dtype, array, value.name)
        return self._remade[value, how]

    def _constant_in(self, value: Value, array: Array, form: Form) -> str:
        if not value.name and array.size <= _SMALL:
            return self.constant(stored_array(array, form))
        known = self._reordered.get((value, form))
        if known is None:
            known = self.constant(stored_array(array, form), name=value.name or self._path("constant"))
            self._reordered[value, form] = known
        return known

    def _path(self, name: str) -> str:
        return f"{self._call.path}/{name}" if self._call is not None and self._call.path else name

    def _unwoven(self, value: Value, stored: Stored) -> str:
        """A tensor whose last axis is brought into our order."""
        assert stored.form.woven is not None
        lengths, order = stored.form.woven
        outer = stored_lengths(value.shape, stored.form.order)[:-1]
        first = len(outer)
        inner = stored_lengths(lengths, order)
        split = self.reshape(stored.name, (*outer, value.shape[-1]), (*outer, *inner))
        turned = self.node("Transpose", split, perm=[*range(first), *(first + axis for axis in order)])
        return self.reshape(turned, (*outer, *lengths), (*outer, value.shape[-1]))

    def reordered(self, name: str, shape: Lengths, source: Order, target: Order) -> str:
        """A tensor of ours of a shape, which lies in one order, in another."""
        if source == target:
            return name
        if only_units_move(shape, source, target):
            return self.reshape(name, stored_lengths(shape, source), stored_lengths(shape, target))
        return self.node("Transpose", name, perm=list(moving(source, target)))

    # Several values in one form ---------------------------------------------------------------------------------------

    def common_form(self, values: Sequence[Value], rank: int) -> Form:
        """The form in which values that are combined entry by entry should lie: that of the largest."""
        full = [value for value in values if value.array is None and len(value.shape) == rank]
        if not full:
            return plain(rank)
        woven = [self.form(value) for value in full if self.form(value).woven is not None]
        if woven:
            others = [value for value in values if value.array is not None or self.form(value) != woven[0]]
            fits = all(value.array is not None and is_woven_like(value.array, woven[0].woven) for value in others)
            if fits and woven[0].order == same(rank):
                return woven[0]
        sizes = [np.prod([float(in_sample(length, 0)) for length in value.shape]) for value in full]
        return Form(self.form(full[int(np.argmax(sizes))]).order)

    def broadcast(self, value: Value, form: Form) -> str:
        """A value in a form of a higher rank, ready to be combined with others of that form."""
        rank, missing = len(form.order), len(form.order) - len(value.shape)
        if form.is_plain or not value.shape:
            return self.take(value)
        if value.array is not None:
            if all(length == 1 for length in value.shape):
                return self.constant(value.array.reshape(()))
            if form.woven is not None:
                woven = form.woven if value.shape[-1] != 1 else None
                return self.take(value, Form(same(len(value.shape)), woven))
            if len(value.shape) == rank:
                return self.take(value, form)
            shape = (*(1,) * missing, *value.array.shape)
            return self.take(self.remade(value, shape, lambda array: array.reshape(shape)), form)
        if not missing:
            return self.take(value, form)
        name = self.unsqueeze(self.take(value), *range(missing))
        return self.reordered(name, (*(1,) * missing, *value.shape), same(rank), form.order)
