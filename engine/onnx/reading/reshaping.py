"""Reshaping values whose axes lie in another order than the file's, with as few transposes as can be.

A reshape splits and joins axes. It is taken apart into groups of neighbouring axes of the file that become neighbouring
axes; a group whose axes lie side by side in ours, in the file's order, is reshaped where it is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.onnx.axes import Order
from engine.onnx.reading.batch import reshaped_apart
from engine.onnx.reading.builder import Builder
from engine.onnx.reading.evaluation import numbered
from engine.onnx.reading.free_lengths import BATCH
from engine.onnx.reading.value import Value
from engine.onnx.sizes import Length, Size, UnknownSizeError


class Group(NamedTuple):
    """Neighbouring axes before and after a reshape that hold the same numbers: first (inclusive), last (exclusive)."""

    before: tuple[int, int]
    after: tuple[int, int]


def wanted_shape(builder: Builder, value: Value, target: Sequence[Any], allow_zero: bool) -> list[Length]:
    """The shape that a Reshape asks for, all lengths known or sizes.

    Where the file gives the batch a length, and ours is free, that length in front means the batch if the rest of the
    axes then hold one example.
    """
    lengths = builder.shape(value)
    wanted: list[Any] = list(target)
    for index, length in enumerate(wanted):
        if not isinstance(length, Size) and length == 0 and not allow_zero:
            if index >= len(lengths):
                raise ValueError(f"its shape {wanted} keeps axis {index} of a tensor of {len(lengths)} axes")
            wanted[index] = lengths[index]
        elif not isinstance(length, Size):
            wanted[index] = int(length)
    open_places = [index for index, length in enumerate(wanted) if not isinstance(length, Size) and length == -1]
    if len(open_places) > 1 or any(not isinstance(length, Size) and length < -1 for length in wanted):
        raise ValueError(f"its shape {wanted} has more than one open length")
    declared = builder.declared_batch
    if declared is not None and wanted and wanted[0] == declared and lengths and lengths[0] == Size(BATCH):
        whole = product(lengths)
        rest = product([length for length in wanted[1:] if isinstance(length, Size) or length != -1])
        if open_places or whole == rest * Size(BATCH):
            wanted[0] = Size(BATCH)
    if open_places:
        known = [length for index, length in enumerate(wanted) if index not in open_places]
        rest, whole = _without_common(known, lengths)
        wanted[open_places[0]] = _quotient(product(whole), product(rest))
    rest, whole = _without_common(wanted, lengths)
    if product(rest) != product(whole):
        raise ValueError(f"it reshapes {tuple(lengths)} to {tuple(wanted)}, which hold different numbers of entries")
    return wanted


def _without_common(left: Sequence[Any], right: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Two lists of lengths without the free ones that are in both: the product of two free lengths is not known."""
    kept, others = [], list(right)
    for length in left:
        if isinstance(length, Size) and length in others:
            others.remove(length)
        else:
            kept.append(length)
    return kept, others


def product(lengths: Sequence[Length]) -> Any:
    """How many numbers there are; a size where a length is free."""
    return math.prod(lengths)


def _quotient(whole: Any, part: Any) -> Any:
    if isinstance(whole, Size) or isinstance(part, Size):
        return Size(whole.symbol) * 0 if isinstance(whole, Size) and part == 0 else whole // part
    if part == 0:
        return 0
    if whole % part:
        raise ValueError(f"{whole} entries do not fit a shape of multiples of {part}")
    return whole // part


def reshape_value(builder: Builder, value: Value, target: Sequence[Length]) -> Value:
    """The value in another shape of the file's."""
    lengths = builder.shape(value)
    if value.columns is not None and tuple(lengths) == tuple(target):
        return value
    reshaped_apart(builder, lengths, target)
    value = builder.with_file_columns(value)
    groups = _groups(lengths, target)
    if groups is not None and all(_is_together(value.order, group.before) for group in groups):
        return _reshaped_in_place(builder, value, groups, lengths, target)
    order = _order_of_kept(value.order, lengths, target)
    if order is not None:
        return Value("", builder.reshaped(value.tensor, [target[axis] for axis in order]), order)
    columns = _flattened_columns(value, lengths, target)
    if columns is not None:
        tensor = builder.reshaped(value.tensor, target)
        return Value("", tensor, columns=columns)
    if groups is None:
        return Value("", builder.reshaped(builder.as_file(value), target))
    order = _gathered(value.order, groups)
    value = Value(value.name, builder.arranged(value, order), order)
    return _reshaped_in_place(builder, value, groups, lengths, target)


def _order_of_kept(order: Order, lengths: Sequence[Length], target: Sequence[Length]) -> Order | None:
    """The order after axes of length 1 came or went, which moves nothing; None where others change, too."""
    before = [axis for axis, length in enumerate(lengths) if length != 1]
    after = [axis for axis, length in enumerate(target) if length != 1]
    if [lengths[axis] for axis in before] != [target[axis] for axis in after]:
        return None
    places = dict(zip(before, after, strict=True))
    found = [places[axis] for axis in order if axis in places]
    for axis in range(len(target)):
        if axis not in after:
            found.insert(found.index(axis - 1) + 1 if axis else 0, axis)
    return tuple(found)


def _groups(lengths: Sequence[Length], target: Sequence[Length]) -> list[Group] | None:
    """The smallest groups of axes, or None where free lengths hide them."""
    groups = []
    i = j = 0
    try:
        while i < len(lengths) or j < len(target):
            start, goal = i, j
            before: Any = 1
            after: Any = 1
            while i == start or j == goal or before != after:
                take_before = j > goal and i < len(lengths) and (i == start or _is_less(before, after))
                if i < len(lengths) and (i == start or take_before):
                    before, i = before * lengths[i], i + 1
                elif j < len(target):
                    after, j = after * target[j], j + 1
                elif i < len(lengths):
                    before, i = before * lengths[i], i + 1
                else:
                    break
            groups.append(Group((start, i), (goal, j)))
    except UnknownSizeError:
        return None
    return groups


def _is_less(before: Any, after: Any) -> bool:
    if isinstance(before, Size) and isinstance(after, Size):
        return before.symbol == after.symbol and before.factor < after.factor
    if isinstance(before, Size) or isinstance(after, Size):
        return isinstance(after, Size)
    return bool(before < after)


def _is_together(order: Sequence[int], span: tuple[int, int]) -> bool:
    places = [list(order).index(axis) for axis in range(*span)]
    return all(later == earlier + 1 for earlier, later in itertools.pairwise(places))


def _gathered(order: Order, groups: Sequence[Group]) -> Order:
    """An order near the given one in which the axes of each group lie side by side: that of channels stays last."""
    spans = [range(*group.before) for group in groups if group.before[0] < group.before[1]]
    spans.sort(key=lambda span: min(order.index(axis) for axis in span))
    return tuple(axis for span in spans for axis in span)


def _reshaped_in_place(
    builder: Builder, value: Value, groups: Sequence[Group], lengths: Sequence[Length], target: Sequence[Length]
) -> Value:
    by_place = sorted(groups, key=lambda group: _place(value.order, group, len(lengths)))
    order = tuple(axis for group in by_place for axis in range(*group.after))
    tensor = builder.reshaped(value.tensor, [target[axis] for axis in order])
    return Value("", tensor, order)


def _place(order: Sequence[int], group: Group, rank: int) -> float:
    """Where a group lies in ours; groups of new axes alone keep to what comes before them in the file."""
    if group.before[0] < group.before[1]:
        return list(order).index(group.before[0])
    return list(order).index(group.before[0] - 1) + 0.5 if group.before[0] else -0.5


def _flattened_columns(
    value: Value, lengths: Sequence[Length], target: Sequence[Length]
) -> np.ndarray[Any, np.dtype[np.intp]] | None:
    """Where the columns lie when examples are flattened as ours lie, or None where it is no flattening."""
    if len(target) != 2 or value.order[0] != 0 or value.rank < 3:
        return None
    inner = lengths[1:]
    if target[0] != lengths[0] or any(isinstance(length, Size) for length in inner):
        return None
    numbers = numbered(math.prod(int(length) for length in inner)).reshape([int(length) for length in inner])
    columns = numbers.transpose([axis - 1 for axis in value.order[1:]]).ravel()
    return None if np.array_equal(columns, np.arange(len(columns))) else columns
