"""The form in which the file holds a value: the order of its axes, and how its last axis is arranged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine.onnx.axes import Order, inverse, moving, ordered, same
from engine.onnx.writing.lengths import Length, Lengths, in_sample, product
from engine.primitives.primitive import Array


class Woven(NamedTuple):
    """A last axis that was several, flattened in another order than ours.

    Attributes:
        lengths: of our axes that became one.
        order: the file's place of each of them.
    """

    lengths: tuple[int, ...]
    order: Order


class Form(NamedTuple):
    """Our axis i is the file's axis `order[i]`; `woven` says how the last axis is arranged, None: as ours."""

    order: Order
    woven: Woven | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the file's tensor is ours."""
        return self.woven is None and self.order == same(len(self.order))


def plain(rank: int) -> Form:
    """The form of a tensor that is the same in the file."""
    return Form(same(rank))


def stored_lengths(shape: Lengths, order: Order) -> Lengths:
    """The lengths of the file's axes."""
    return ordered(shape, inverse(order))


def stored_array(array: Array, form: Form) -> Array:
    """A constant in the file's form."""
    if form.woven is not None:
        lengths, order = form.woven
        split = array.reshape(*array.shape[:-1], *lengths)
        first = array.ndim - 1
        back = inverse(order)
        array = split.transpose(*range(first), *(first + axis for axis in back)).reshape(array.shape)
    return array.transpose(inverse(form.order))


def only_units_move(shape: Lengths, source: Order, target: Order) -> bool:
    """Whether the transpose from one order to another moves axes of length 1 alone, and so is a reshape."""
    stored = stored_lengths(shape, source)
    moved = [axis for axis in moving(source, target) if stored[axis] != 1]
    return moved == sorted(moved)


def blocks(before: Lengths, after: Lengths) -> list[tuple[range, range]]:
    """The smallest groups of neighbouring axes that a reshape turns into each other."""
    found: list[tuple[range, range]] = []
    i = j = 0
    while i < len(before) and j < len(after):
        first, second = i, j
        a: Length = before[i]
        b: Length = after[j]
        i, j = i + 1, j + 1
        while a != b:
            if (in_sample(a, 0) < in_sample(b, 0) or j == len(after)) and i < len(before):
                a, i = product((a, before[i])), i + 1
            elif j < len(after):
                b, j = product((b, after[j])), j + 1
            else:
                break
        found.append((range(first, i), range(second, j)))
    # What is left has length 1 (or the array is empty): it goes with the last group.
    first_in, first_out = found.pop() if found else (range(i), range(j))
    found.append((range(first_in.start, len(before)), range(first_out.start, len(after))))
    return found


def reshaped(form: Form, before: Lengths, after: Lengths) -> Form | None:
    """The form after the file's tensor was reshaped block by block; None: it has to be brought in order first."""
    places: list[tuple[int, range]] = []  # of each block in the file, and the axes it becomes
    woven: Woven | None = None
    parts = blocks(before, after)
    for number, (taken, made) in enumerate(parts):
        whole = [axis for axis in taken if before[axis] != 1]
        stored = [form.order[axis] for axis in whole]
        if not _are_neighbours(form.order, before, stored):
            return None
        if stored != sorted(stored):
            lengths = [before[axis] for axis in whole]
            single = number == len(parts) - 1 and len(made) == 1 and all(isinstance(n, int) for n in lengths)
            if not single:
                return None
            rank = {place: index for index, place in enumerate(sorted(stored))}
            woven = Woven(tuple(n for n in lengths if isinstance(n, int)), tuple(rank[place] for place in stored))
        before_all = places[-1][0] if places else -1
        places.append((min(stored) if stored else before_all, made))
    order = [0] * len(after)
    index = 0
    for _, made in sorted(places, key=lambda item: item[0]):
        for axis in made:
            order[axis] = index
            index += 1
    if woven is not None and order[-1] != len(order) - 1:
        return None
    return Form(tuple(order), woven)


def _are_neighbours(order: Order, shape: Lengths, places: Sequence[int]) -> bool:
    """Whether no axis but those of length 1 lies between places of the file."""
    if not places:
        return True
    own = set(places)
    lengths = stored_lengths(shape, order)
    return all(place in own or lengths[place] == 1 for place in range(min(places), max(places)))


def is_woven_like(array: Array, woven: Woven | None) -> bool:
    """Whether a constant's last axis can be woven: it is as long, or the constant is the same along it."""
    return woven is None or array.ndim == 0 or array.shape[-1] in (1, int(np.prod(woven.lengths)))
